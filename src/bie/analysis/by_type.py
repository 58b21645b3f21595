"""Transport between batches within each cell type, over the seeds: which types differ most?"""

from typing import TYPE_CHECKING

import orjson

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

    told = study.runs.loc[study.runs["by_type"].notna(), ["config_id", "dataset", "by_type"]]
    rows = [
        (config, dataset, split, name, ratio)
        for config, dataset, text in zip(*(told[name] for name in told), strict=True)
        for split, ratios in orjson.loads(text).items()
        for name, ratio in ratios.items()
    ]
    names = ["config_id", "dataset", "split", "type", "ratio"]
    long = pd.DataFrame(rows, columns=names)
    found = long.groupby(names[:4], sort=False)["ratio"].agg(["mean", "std", "count"]).reset_index()
    found = found.rename(columns={"std": "sd", "count": "n"})
    over_all = found.groupby(["dataset", "split", "type"])["mean"].transform("mean")
    place = found["config_id"].map({config: i for i, config in enumerate(study.cells.index)})
    found = found.assign(place=place, over_all=-over_all).sort_values(
        ["place", "split", "over_all", "type"], kind="stable"
    )
    settings = study.cells.loc[found["config_id"], ["model", *study.grid]].set_axis(found.index)
    whole = pd.concat([found, settings], axis=1)
    return whole[[*COLUMNS, *study.grid, "split", "type", "mean", "sd", "n"]].reset_index(drop=True)
