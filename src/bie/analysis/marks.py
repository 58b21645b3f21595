"""How a table marks a value by its verdict."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bie.analysis.verdicts import BETTER, EQUAL, OPEN, SHOWN, WORSE

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS = {BETTER: "▲", WORSE: "▼", EQUAL: "=", OPEN: "·"}
ALSO_NEW = {BETTER: "▲▲", WORSE: "▼▼"}
"""Marks of a difference that is shown for new cells too."""
LEGEND = "▲ better  ▼ worse  = equal within the margin  · open   ▲▲ ▼▼ shown for new cells too"

Key = tuple[str, str, str]  # config_id, split, metric


def marks(comparison: "pd.DataFrame") -> dict[Key, str]:
    """Mark of every value that has a verdict.

    Parameters
    ----------
    comparison
        As `bie.analysis.compare` returns it.
    """
    judged = comparison[(comparison["verdict"] != "") & (comparison["n_pairs"] > 0)]
    columns = (judged[name] for name in ("config_id", "split", "metric", "verdict", "new_cells"))
    return {
        (config, split, metric): mark(verdict, new)
        for config, split, metric, verdict, new in zip(*columns, strict=True)
    }


def mark(verdict: str, new: str) -> str:
    """Mark of a verdict.

    >>> mark("better", "not shown"), mark("worse", "shown"), mark("open", "shown")
    ('▲', '▼▼', '·')
    """
    return (ALSO_NEW if new == SHOWN else {}).get(verdict) or SYMBOLS[verdict]


_WORDS: Mapping[str, str] = {
    "▲▲ ▼▼ shown": "*: shown",
    "▲ better  ▼ worse  = equal within the margin  · open": "better, worse, equal within the margin, or open",
    "▲▲": "better*",
    "▼▼": "worse*",
    "▲": "better",
    "▼": "worse",
    " =": " equal",
    " ·": " open",
    "±": "+-",
    " ↑": " (high)",
    " ↓": " (low)",
    "–": "-",
    "†": "!",
}


def in_words(text: str) -> str:
    """Text for a terminal without these symbols.

    >>> in_words(".751±.047 ▲▲ (.92)   .80±.02 ·"), in_words("ARI ↑")
    ('.751+-.047 better* (.92)   .80+-.02 open', 'ARI (high)')
    """
    for symbol, word in _WORDS.items():
        text = text.replace(symbol, word)
    return text.encode("ascii", "replace").decode()


def fitting(text: str, encoding: Any) -> str:
    """Text as it is where the encoding has its symbols, else in words."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return in_words(text)
    return text
