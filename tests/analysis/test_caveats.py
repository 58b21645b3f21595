import random
import re
from collections import Counter
from collections.abc import Mapping

import orjson
import pandas as pd
import pytest

from bie.analysis.caveats import EXACT, GAP, NUMBER, Key, caveats, take_apart

METRICS = frozenset({"cells", "be", "pcr", "perturb"})
SENTENCES = ("of # of # cells", "a sample", "# of 3 batches", "issue #", f"odd {GAP} #")


def noted(records: list[dict[str, str]]) -> pd.DataFrame:
    parts = [take_apart(notes) for notes in records]
    return pd.DataFrame(
        {
            "state": "done",
            "notes": [orjson.dumps(notes).decode() if notes else None for notes, _ in parts],
            "notes_numbers": [" ".join(numbers) for _, numbers in parts],
        }
    )


def plain(records: list[dict[str, str]], metrics: frozenset[str]) -> dict[Key, tuple[set[str], int]]:
    """All sentences that are alike, and of how many runs."""
    found: dict[Key, tuple[set[str], int]] = {}
    for notes in records:
        for name, sentence in notes.items():
            part, _, metric = name.rpartition(".")
            alike = sentence if name == EXACT else NUMBER.sub(GAP, sentence)
            if metric in metrics:
                texts, n = found.get((part, metric, alike), (set(), 0))
                found[part, metric, alike] = texts | {sentence}, n + 1
    return found


@pytest.mark.parametrize("seed", range(20))
def test_they_are_what_counting_sentence_by_sentence_finds(seed: int) -> None:
    draw = random.Random(seed)
    names = ["cells", "test.be", "train.be", "test.pcr", "test.ari", "perturb"]
    records: list[dict[str, str]] = []
    for _ in range(draw.choice([1, 5, 30])):
        told = draw.sample(names, draw.randint(0, len(names)))
        texts = (draw.choice(SENTENCES) for _ in told)
        records.append(
            {n: t.replace("#", f"{draw.choice([0, 1, 2])}") for n, t in zip(told, texts, strict=True)}
        )
    found, expected = caveats(noted(records), METRICS), plain(records, METRICS)
    assert {key: (said.differ, said.n) for key, said in found.items()} == {
        key: (len(texts) > 1, n) for key, (texts, n) in expected.items()
    }
    assert all(said.sentence in expected[key][0] for key, said in found.items())


def test_a_number_has_digits_and_perhaps_a_sign() -> None:
    draw = random.Random(0)
    for _ in range(5_000):
        text = "".join(draw.choices("-01.,e ax" + GAP, k=12))
        assert NUMBER.findall(text) == re.findall(rf"(?:-?[0-9]|{GAP})[0-9.,e-]*", text)


def test_what_most_runs_say_comes_first() -> None:
    often, seldom = {"cells": "of 5 cells"}, {"cells": "of 4 cells", "pcr": "a sample"}
    records: list[Mapping[str, str]] = [seldom, often, {"cells": "of 9 cells"}, often, seldom, often]
    found = caveats(noted([dict(each) for each in records]), METRICS)
    assert [said.sentence for said in found.values()] == ["of 5 cells", "a sample"]
    assert [(said.differ, said.n) for said in found.values()] == [(True, 6), (False, 2)]
    assert Counter(key[1] for key in found) == {"cells": 1, "pcr": 1}
