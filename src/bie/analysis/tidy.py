"""The two tidy tables: every number of every run, and their summary over the seeds."""

from typing import TYPE_CHECKING, Any

from bie.analysis.study import Study

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def long_table(study: Study, runs: slice = slice(None)) -> "pd.DataFrame":
    """Every number of every finished run.

    Parameters
    ----------
    runs
        Which of the finished runs: of 100,000 all numbers at once take 300 MiB.

    Returns
    -------
    DataFrame
        A row per run x split x metric: ``run_id``, ``config_id``, ``split_id``, ``dataset``, ``model``,
        ``seed``, the settings that vary, ``split``, ``metric``, ``value`` (missing if there is none),
        ``reason`` (why it is missing), ``code`` (see `bie.analysis.parse.code_version`).
    """
    import numpy as np

    done = study.runs[study.runs["state"] == "done"].iloc[runs]
    points = study.grid_points.loc[done["config_id"], list(study.grid)]
    names = ["run_id", "config_id", "split_id", "dataset", "model", "seed"]
    once = done[names].assign(**{key: points[key].array for key in study.grid}, code=done["code"])
    for name in [*names[:5], "code"]:
        once[name] = once[name].astype("category")  # 64 hex digits a row would not fit in memory
    values, reasons = study.values.loc[done.index], study.reasons.loc[done.index]
    rows, columns = np.divmod(np.arange(values.size), max(values.shape[1], 1))
    long = once.iloc[rows].reset_index(drop=True)
    for place, level in enumerate(["split", "metric"]):
        long[level] = values.columns.get_level_values(place).astype("category")[columns]
    long["value"] = values.to_numpy().ravel()
    long["reason"] = _texts(reasons.to_numpy().ravel(), long["value"].isna().to_numpy())
    return long[[*names, *study.grid, "split", "metric", "value", "reason", "code"]]


def long_columns(study: Study, runs: slice = slice(None)) -> "pa.Table":
    """The same as `long_table`, as columns of Arrow: three times as fast, each text held once."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    done = study.runs[study.runs["state"] == "done"].iloc[runs]
    n_columns = study.values.shape[1]

    def shared(texts: Any, spread: Any = lambda codes: np.repeat(codes, n_columns)) -> Any:
        codes, known = pd.factorize(np.asarray(texts, dtype=object))
        places = spread(codes.astype(np.int32))
        mask = places < 0 if (codes < 0).any() else None
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=mask), pa.array(list(known), pa.string()))

    def tiled(codes: Any) -> Any:
        return np.tile(codes, len(done))

    columns = {name: shared(done[name]) for name in ["run_id", "config_id", "split_id", "dataset", "model"]}
    columns["seed"] = pa.array(np.repeat(done["seed"].to_numpy(), n_columns))
    row = np.repeat(study.grid_points.index.get_indexer(pd.Index(done["config_id"])), n_columns)
    columns |= {key: pa.array(study.grid_points[key].array).take(pa.array(row)) for key in study.grid}
    for level in ("split", "metric"):
        columns[level] = shared(study.values.columns.get_level_values(level), tiled)
    columns["value"] = pa.array(study.values.loc[done.index].to_numpy().ravel(), from_pandas=True)
    columns["reason"] = _why(study, done.index)
    return pa.table(columns | {"code": shared(done["code"])})


def _why(study: Study, rows: Any) -> "pa.Array":
    """Reasons of some runs, row by row."""
    import pyarrow as pa

    flat, texts = study.why.codes[:, rows].T.ravel(), pa.array(study.why.texts, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(flat, mask=flat < 0), texts)


def _texts(values: Any, there: Any) -> "pd.Categorical":
    """Texts as a categorical, few of which are there."""
    import numpy as np
    import pandas as pd

    found = pd.Categorical(pd.array(values[there], dtype="object"))
    codes: Any = np.full(len(values), -1, np.int32)
    codes[there] = found.codes
    return pd.Categorical.from_codes(codes, found.categories)


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows of a table by column: ``to_dict("records")`` in a third of its time, a missing setting as NA."""
    names = [str(name) for name in frame]
    columns = [frame[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def summarise(study: Study) -> "pd.DataFrame":
    """Mean and spread of every metric over the seeds, for every grid point that was asked for.

    Returns
    -------
    DataFrame
        A row per grid point x split x metric: ``dataset``, ``model``, ``config_id``, the settings that vary,
        ``split``, ``metric``, ``mean``, ``sd`` (n - 1 in the denominator; missing for n = 1), ``n`` (runs
        with a number), ``n_expected`` (runs asked for), ``complete`` (n equals n_expected).
    """
    import numpy as np

    groups = study.values.groupby(study.runs["config_id"].to_numpy(), sort=False)
    found = groups.mean(), groups.std(ddof=1), groups.count()
    mean, sd, n = (frame.loc[study.grid_points.index] for frame in found)
    rows, columns = np.divmod(np.arange(mean.size), max(mean.shape[1], 1))
    table = study.grid_points.reset_index().iloc[rows].reset_index(drop=True)
    table["split"], table["metric"] = (mean.columns.get_level_values(i)[columns] for i in (0, 1))
    table["mean"], table["sd"], table["n"] = (frame.to_numpy().ravel() for frame in (mean, sd, n))
    table["n_expected"] = groups.size().loc[study.grid_points.index].to_numpy()[rows]
    table["complete"] = table["n"] == table["n_expected"]
    figures = ["split", "metric", "mean", "sd", "n", "n_expected", "complete"]
    return table[["dataset", "model", "config_id", *study.grid, *figures]]
