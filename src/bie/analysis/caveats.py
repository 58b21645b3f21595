"""What records say of their numbers (``notes``), those that are alike but for numbers together."""

import re
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"-?[0-9][0-9.,e-]*")

Key = tuple[str, str, str]  # part of the cells (train, test or empty), metric, sentence without its numbers


@dataclass
class Said:
    """The first of sentences that are alike, whether others differ in their numbers, of how many runs."""

    sentence: str
    differ: bool
    n: int


def caveats(runs: "pd.DataFrame", metrics: Set[str]) -> dict[Key, Said]:
    """Sentences of finished runs on some metrics, what most of them say first."""
    found: dict[Key, Said] = {}
    counts = Counter(runs.loc[runs["state"] == "done", "notes"].dropna())
    for text, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        for name, sentence in orjson.loads(text).items():
            part, _, metric = name.rpartition(".")
            if metric in metrics:
                is_ratio = metric == "perturb"  # the one achieved, of the rows of that damage
                alike = sentence if is_ratio else NUMBER.sub("#", sentence)
                said = found.setdefault((part, metric, alike), Said(sentence, False, 0))
                said.differ |= sentence != said.sentence
                said.n += n
    return found
