"""All that the tables of a study are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bie.analysis.baseline import Margin, baselines
from bie.analysis.comparison import as_table, bounds, differences, pair_runs
from bie.analysis.study import Study
from bie.analysis.tidy import summarise

if TYPE_CHECKING:
    import pandas as pd


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
    baseline
        What was asked for; None: what the study's settings say.
    """

    study: Study
    summary: "pd.DataFrame"
    comparison: "pd.DataFrame"
    bounds: "pd.DataFrame"
    pairs: "pd.DataFrame"
    baseline: str | None = None


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
    pairs = pair_runs(study, baselines(study, baseline)).drop(columns=["row", "baseline_row"])
    return Results(study, summarise(study), as_table(study, found), bounds(found), pairs, baseline)
