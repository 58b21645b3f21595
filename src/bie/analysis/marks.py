"""How a table marks a value by its verdict."""

from typing import TYPE_CHECKING

from bie.analysis.verdicts import BETTER, EQUAL, OPEN, SHOWN, WORSE

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS = {BETTER: "▲", WORSE: "▼", EQUAL: "=", OPEN: "·"}
ALSO_NEW = {BETTER: "▲▲", WORSE: "▼▼"}
"""Marks of a difference that is shown for new cells too."""

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


def legend(of: str = "cells") -> str:
    """What the marks mean.

    Parameters
    ----------
    of
        What the data are of: ``cells``, ``pairs`` or ``sets``.
    """
    return f"▲ better  ▼ worse  = equal within the margin  · open   ▲▲ ▼▼ shown for new {of} too"


def mark(verdict: str, new: str) -> str:
    """Mark of a verdict.

    >>> mark("better", "not shown"), mark("worse", "shown"), mark("open", "shown")
    ('▲', '▼▼', '·')
    """
    return (ALSO_NEW if new == SHOWN else {}).get(verdict) or SYMBOLS[verdict]
