"""What records say of their numbers (``notes``), those that are alike but for numbers together."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    import pandas as pd

GAP = "\0"  # where a number was; one that was there before counts as a number
NUMBER = re.compile(rf"([-0-9{GAP}](?:(?<!-)|(?=[0-9]))[0-9.,e-]*)")
"""Perhaps with a sign; looked for by its first character, in a third of the time that a sign by `?` takes."""
EXACT = "perturb"  # its sentence has the ratio that was achieved: that of the rows of this damage

Key = tuple[str, str, str]  # part of the cells (train, test or empty), metric, sentence without its numbers


@dataclass
class Said:
    """The first of sentences that are alike, whether others differ in their numbers, of how many runs."""

    sentence: str
    differ: bool
    n: int


def take_apart(notes: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Sentences by name with gaps in the place of numbers, equal for runs that say the same; the numbers.

    >>> take_apart({"test.be": "of 500 of 1,200 cells"})
    ({'test.be': 'of \\x00 of \\x00 cells'}, ['500', '1,200'])
    """
    alike, numbers = dict(notes), list[str]()
    for name, sentence in notes.items():
        if name != EXACT:
            first, *rest = NUMBER.split(sentence)
            alike[name] = GAP.join([first, *rest[1::2]])
            numbers += rest[::2]
    return alike, numbers


def caveats(runs: "pd.DataFrame", metrics: Set[str]) -> dict[Key, Said]:
    """Sentences of finished runs on some metrics, what most of them say first.

    Parameters
    ----------
    runs
        Columns ``state``, ``notes`` (JSON) and ``notes_numbers`` (with spaces between), of `take_apart`.
    """
    found: dict[Key, Said] = {}
    noted = runs.loc[(runs["state"] == "done") & runs["notes"].notna(), ["notes", "notes_numbers"]]
    counts = {str(notes): Counter(numbers) for notes, numbers in noted.groupby("notes")["notes_numbers"]}
    first = {notes: min(of, key=lambda text: (-of[text], text)) for notes, of in counts.items()}
    for notes in sorted(counts, key=lambda notes: (-counts[notes][first[notes]], notes)):
        others, n_runs = counts[notes].keys() - {first[notes]}, counts[notes].total()
        for name, alike, numbers, differ in _sentences(notes, first[notes], others):
            part, _, metric = name.rpartition(".")
            if metric in metrics:
                sentence = _filled(alike, numbers) if numbers else alike
                said = found.setdefault((part, metric, alike), Said(sentence, False, 0))
                said.differ |= differ or sentence != said.sentence
                said.n += n_runs
    return found


def _sentences(notes: str, first: str, others: Set[str]) -> Iterator[tuple[str, str, list[str], bool]]:
    """Name, sentence with gaps and numbers of each note; whether any others have other numbers there."""
    sentences: dict[str, str] = orjson.loads(notes)
    places, stop = {}, 0
    for name, alike in sentences.items():
        start, stop = stop, stop + alike.count(GAP) * (name != EXACT)
        places[name] = slice(start, stop)
    ours = first.split(" ")
    numbered = {name for name, place in places.items() if ours[place]}
    differing = set[str]()
    for other in others:
        if numbered <= differing:
            break  # as a rule after one
        theirs = other.split(" ")
        differing |= {name for name in numbered - differing if theirs[places[name]] != ours[places[name]]}
    for name, alike in sentences.items():
        yield name, alike, ours[places[name]], name in differing


def _filled(alike: str, numbers: Sequence[str]) -> str:
    """Put numbers where they were."""
    first, *rest = alike.split(GAP)
    return first + "".join(number + text for number, text in zip(numbers, rest, strict=True))
