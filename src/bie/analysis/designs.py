"""Rows of tables for studies that vary a source of randomness by itself (`split_seed`, `init_seed`, ...)."""

from dataclasses import replace

from bie.analysis.study import Study
from bie.seeds import SEEDS


def pooled(study: Study) -> Study:
    """The study with one row for grid points that differ in the seeds of streams alone, as if in `seed`.

    Runs are counted, summed up and paired by all their seeds together. A row has the ``config_id`` of the
    first of its grid points. The same study where no such seed varies.
    """
    import numpy as np

    streams = [key for key in study.grid if key in SEEDS]
    if not streams:
        return study
    others = ["dataset", "model", *(key for key in study.grid if key not in streams)]
    design = study.grid_points.groupby(others, sort=False, dropna=False).ngroup().to_numpy()
    _, first, place = np.unique(design, return_index=True, return_inverse=True)
    row_of = dict(zip(study.grid_points.index, study.grid_points.index[first[place]], strict=True))
    seeds = study.grid_points.loc[study.runs["config_id"], streams].reset_index(drop=True)
    number = (
        seeds.assign(seed=study.runs["seed"].to_numpy()).groupby([*streams, "seed"], dropna=False).ngroup()
    )
    return replace(
        study,
        grid_points=study.grid_points.iloc[np.sort(first)][others],
        grid=tuple(others[2:]),
        runs=study.runs.assign(config_id=study.runs["config_id"].map(row_of), seed=number.to_numpy()),
    )
