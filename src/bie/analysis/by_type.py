"""Transport between batches within each cell type, over the seeds: which types differ most?"""

from typing import TYPE_CHECKING

from bie.analysis.study import Study

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("dataset", "model", "config_id")


def by_type(study: Study) -> "pd.DataFrame":
    """Mean and spread of the OT ratio of every cell type.

    Returns
    -------
    DataFrame
        A row per grid point x split x cell type, in the order of the study's tables, the types of a data set
        by the mean over its grid points, largest first: ``dataset``, ``model``, ``config_id``, the settings
        that vary, ``split``, ``type``, ``mean``, ``sd`` (n - 1 in the denominator), ``n`` (runs). Empty where
        no record has any.
    """
    import pandas as pd

    names = ["config_id", "dataset", "split", "type"]
    row = study.by_type["row"].to_numpy()
    of_run = {name: study.runs[name].astype("category").array.take(row) for name in names[:2]}
    long = study.by_type.assign(**of_run)
    found = (
        long.groupby(names, sort=False, observed=True)["ratio"].agg(["mean", "std", "count"]).reset_index()
    )
    found = found.astype(dict.fromkeys(names, object)).rename(columns={"std": "sd", "count": "n"})
    over_all = found.groupby(["dataset", "split", "type"])["mean"].transform("mean")
    place = found["config_id"].map({config: i for i, config in enumerate(study.grid_points.index)})
    found = found.assign(place=place, over_all=-over_all).sort_values(
        ["place", "split", "over_all", "type"], kind="stable"
    )
    settings = study.grid_points.loc[found["config_id"], ["model", *study.grid]].set_axis(found.index)
    whole = pd.concat([found, settings], axis=1)
    return whole[[*COLUMNS, *study.grid, "split", "type", "mean", "sd", "n"]].reset_index(drop=True)
