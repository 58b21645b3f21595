"""A table as people read it, before it is text, Markdown or LaTeX."""

from dataclasses import dataclass

LEGEND = "mean±sd over seeds; n: finished of expected runs"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    title
        What it shows.
    header, rows
        Texts; the first column names the model.
    notes
        Sentences that belong below it.
    legend
        Sentences on what its numbers and marks are.
    names
        How many columns name a row: they stand before each part of a table that is too wide for paper. 0: it
        stays whole.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    legend: tuple[str, ...] = (LEGEND,)
    names: int = 0
