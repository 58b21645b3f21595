"""All that the tables of a study are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bie.analysis.baseline import Margin
from bie.analysis.comparison import as_table, bounds, differences
from bie.analysis.designs import pooled
from bie.analysis.study import Study
from bie.analysis.tidy import summarise
from bie.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from bie.analysis.table import Table


@dataclass(frozen=True)
class Results:
    """A study, summed up and compared.

    Attributes
    ----------
    study
        As it was read.
    summary
        As `bie.analysis.tidy.summarise` returns it.
    comparison
        As `bie.analysis.compare` returns it.
    bounds
        As `bie.analysis.comparison.bounds` returns it.
    pairs
        Which run was compared with which: ``config_id``, ``baseline_id``, ``split_id``, ``seed``, ``run_id``,
        ``baseline_run_id``.
    baseline, margins
        What was asked for; None: what the study's settings say.
    """

    study: Study
    summary: "pd.DataFrame"
    comparison: "pd.DataFrame"
    bounds: "pd.DataFrame"
    pairs: "pd.DataFrame"
    baseline: str | None = None
    margins: Mapping[str, Margin] | None = None

    @cached_property
    def for_people(self) -> "Results":
        """The same with rows as `bie.analysis.designs.pooled` has them; `self` where these are the same."""
        rows = pooled(self.study)
        if rows is self.study:
            return self
        try:
            return results_of(rows, self.baseline, self.margins)
        except BadInput:  # the baseline is one of the grid points that would be pooled
            return self

    @cached_property
    def tables(self) -> "list[Table]":
        """Those that people read, test cells first."""
        from bie.analysis.view import SPLITS, View
        from bie.analysis.wide import wide_tables

        return list(wide_tables(self, View(splits=SPLITS)))


def results_of(
    study: Study, baseline: str | None = None, margins: Mapping[str, Margin] | None = None
) -> Results:
    """Sum up and compare a study; parameters as of `bie.analysis.compare`.

    Raises
    ------
    BadInput
        There is no such baseline, metric or margin.
    """
    found = differences(study, baseline, margins)
    pairs = found.pairs.drop(columns=["row", "baseline_row"])
    return Results(study, summarise(study), as_table(study, found), bounds(found), pairs, baseline, margins)
