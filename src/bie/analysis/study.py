"""Everything that is known of a study: the runs that were asked for, and what became of each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bie.analysis.caveats import Key, Said, caveats
from bie.analysis.files import Files, look
from bie.analysis.grid import OTHER_THAN_CELLS, Plain, describe_grid_points, flat
from bie.analysis.index import read_index
from bie.analysis.indexed import Reasons, by_type, column, numbers, texts, timing
from bie.analysis.parse import UNKNOWN
from bie.analysis.titles import setting
from bie.store.identity import SHOWN
from bie.store.launches import asked_of, planned
from bie.store.paths import Tree
from bie.store.record import decided

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Study:
    """The runs of a study and their numbers, in the order of the tables.

    Attributes
    ----------
    name
        Of the study.
    grid_points
        A row per grid point, indexed by ``config_id``: ``dataset``, ``model`` and the keys of `grid`.
    grid
        Dotted names of the settings that tell the grid points apart.
    runs
        A row per run that was asked for or found: ``config_id``, ``dataset``, ``model``, ``seed``,
        ``state`` (done, failed, unreadable or missing), ``cause``, ``message`` and ``where`` of a failure;
        of a finished run also ``run_id``, ``split_id``, ``code``, ``packages``, ``device``, ``seconds``
        (wall time).
    values
        Numbers of the rows of `runs`, columns (split, metric); NaN where there is none.
    why
        Why numbers of finished runs are missing, by column and row of `values`.
    by_type
        OT ratios of the cell types: ``row`` (of `runs`), ``split``, ``type``, ``ratio``.
    configs
        Flat settings of each ``config_id``, the seed left out; empty where they are not known.
    asked
        Section ``study`` of the newest launch's settings; empty for a tree without a launch that tells.
    timing
        What the runs took, a column for each name in the record's ``timing``; rows of `runs`.
    decided
        Why a grid point got no further seeds, by ``config_id``; what it has not run is not missing.
    said
        What `caveats` found, by grid points and metrics.
    """

    name: str
    grid_points: "pd.DataFrame"
    grid: tuple[str, ...]
    runs: "pd.DataFrame"
    values: "pd.DataFrame"
    why: Reasons
    by_type: "pd.DataFrame"
    configs: Mapping[str, Plain]
    asked: Mapping[str, Any]
    timing: "pd.DataFrame"
    decided: Mapping[str, str] = field(default_factory=dict)
    said: dict[tuple[tuple[str, ...], frozenset[str]], dict[Key, Said]] = field(
        init=False, default_factory=dict
    )

    @property
    def reasons(self) -> "pd.DataFrame":
        """Why a number of a finished run is missing, as categoricals; rows and columns of `values`."""
        return self.why.frame(self.values.columns)

    def numbers(self, split: str) -> "pd.DataFrame":
        """Columns of `values` of one split; none where no run is done."""
        import pandas as pd

        if split not in self.values.columns.get_level_values(0):
            return pd.DataFrame(index=self.values.index)
        found: pd.DataFrame = self.values.loc[:, split]  # type: ignore[assignment]
        return found

    @cached_property
    def data_sets(self) -> "pd.Series[int]":
        """Number of the data set of each grid point: content, perturbation and kind of split are the same."""
        import pandas as pd

        keys = []
        for config, dataset in self.grid_points["dataset"].items():
            settings = self.configs.get(str(config), {}).items()
            keys.append((dataset, *sorted(item for item in settings if item[0].startswith(_OF_THE_CELLS))))
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return pd.Series([numbers[key] for key in keys], index=self.grid_points.index, dtype=int)

    @cached_property
    def data_set_names(self) -> "pd.Series[str]":
        """Name of the data set of each grid point, and how it is perturbed and split where that varies."""
        keys = [key for key in self.grid if key.startswith(("dataset.", "split", "perturb"))]
        shown = [f"{key}=" + self.grid_points[key].map(setting, na_action=None) for key in keys]
        names = self.grid_points["dataset"].astype(str)
        for key, words in zip(keys, shown, strict=True):
            names += (" " + words).where(words != f"{key}=", "")
        return names

    def sampled(self, configs: Iterable[object]) -> str:
        """What the data of grid points are of: ``cells``, ``pairs`` or ``sets``."""
        sources = (self.configs.get(str(config), {}).get("dataset.source") for config in configs)
        return " and ".join(dict.fromkeys(str(s) if s in OTHER_THAN_CELLS else "cells" for s in sources))

    def caveats(self, configs: tuple[str, ...], metrics: frozenset[str]) -> dict[Key, Said]:
        """What the records of some grid points say of some metrics; kept, as each split asks."""
        if (configs, metrics) not in self.said:
            runs = self.runs[self.runs["config_id"].isin(configs)]
            self.said[configs, metrics] = caveats(runs, metrics)
        return self.said[configs, metrics]

    @property
    def all_read(self) -> bool:
        """Whether every record and failure could be read; what could not may be readable the next time."""
        unread = (self.runs["state"] == "unreadable") | (self.runs["cause"] == UNKNOWN)
        return not unread.any()


_OF_THE_CELLS = ("dataset.sha256", "split.", "split_seed", "perturb.")
"""Settings that decide which cells are scored: rows that differ in one are never compared."""
_TEXTS = (
    *("config_id", "dataset", "model", "state", "cause", "message", "run_id", "split_id", "code"),
    *("packages", "device", "notes", "notes_numbers"),
)
_STATES = ("done", "unreadable", "failed", "missing")  # of a run with several rows the first counts


def read_study(tree: Tree, files: Files | None = None) -> Study:
    """Read all records, failures and plans of a study.

    A record that cannot be read is a run in the state ``unreadable``, not an error.

    Parameters
    ----------
    files
        What `bie.analysis.files.look` found in the tree; None: look now.
    """
    import pyarrow as pa

    index, plan = read_index(files or look(tree)), planned(tree)
    ended = _ended(index)
    ended["config_id"] = _whole_ids(ended["config_id"], [ended["config_id"], plan["config_id"]])
    runs = _one_row_per_run(_joined(ended, plan))
    stopped = decided(tree)
    halted = {c: stopped[c[:SHOWN]] for c in runs["config_id"].unique() if c[:SHOWN] in stopped}
    runs = runs[~(runs["config_id"].isin(halted) & (runs["state"] == "missing"))]
    grids = _by_config(plan["config_id"], plan["grid"])
    configs = _by_config(plan["config_id"], plan["config"]) | _configs(index)
    grid_points = describe_grid_points(runs, configs, grids)
    runs = _in_order_of(grid_points, runs)
    values, why = numbers(index, runs)
    study = Study(
        name=tree.root.resolve().name,
        grid_points=grid_points,
        grid=tuple(grid_points.columns[2:]),
        runs=runs.reset_index(drop=True),
        values=values,
        why=why,
        by_type=by_type(index, runs.index.to_numpy()),
        configs=configs,
        asked=asked_of(tree),
        timing=timing(index, runs).reset_index(drop=True),
        decided=halted,
    )
    del index
    pa.default_memory_pool().release_unused()  # of 100,000 runs 150 MiB, which the tables need
    return study


def _joined(ended: "pd.DataFrame", plan: "pd.DataFrame") -> "pd.DataFrame":
    """The runs that ended, then those that were asked for."""
    import numpy as np
    import pandas as pd

    asked = plan[["config_id", "dataset", "model", "seed", "run_id"]].assign(state="missing", where="")
    asked = asked.assign(cause="", message="", seconds=np.nan).reindex(columns=ended.columns)
    columns = {
        name: np.concatenate([part[name].to_numpy(object) for part in (ended, asked)]) for name in ended
    }
    return pd.DataFrame(columns).astype({"seed": "int64", "seconds": float})


def _ended(index: "pa.Table") -> "pd.DataFrame":
    """The rows of the index as far as `Study.runs` has them."""
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame({name: texts(index[name]) for name in _TEXTS})
    frame[["cause", "message"]] = frame[["cause", "message"]].fillna("")
    frame["seed"] = index["seed"].to_numpy()
    frame["seconds"] = column(index, "timing.total_s", np.arange(len(index)))[0]
    frame["where"] = ""
    ended = np.flatnonzero(frame["state"] != "done")
    frame.loc[ended, "where"] = index["path"].take(ended).to_pylist()
    versions = {text: tuple(sorted(json.loads(text).items())) for text in frame["packages"].dropna().unique()}
    frame["packages"] = frame["packages"].map(versions)
    return frame


def _whole_ids(short: "pd.Series", known: "Iterable[pd.Series]") -> "pd.Series":
    """Put whole ids in the place of those that only a path told."""
    whole = {full[:SHOWN]: full for column in known for full in column.unique() if len(full) > SHOWN}
    return short.map({found: whole.get(found, found) for found in short.unique()})


def _by_config(config_ids: "pd.Series", settings: "pd.Series") -> dict[str, Plain]:
    """Settings by grid point, from its first row."""
    new = ~config_ids.duplicated()
    first = zip(config_ids[new], settings[new], strict=True)
    return {str(config): flat(json.loads(text)) for config, text in first}


def _configs(index: "pa.Table") -> dict[str, Plain]:
    import pandas as pd

    known = pd.Series(texts(index["config"]), texts(index["config_id"]), dtype=object).dropna()
    first = known[~known.index.duplicated()]
    return {str(config): json.loads(text) for config, text in first.items()}


def _one_row_per_run(rows: "pd.DataFrame") -> "pd.DataFrame":
    rank = rows["state"].map({state: i for i, state in enumerate(_STATES)})
    first = rows.loc[rank.sort_values(kind="stable").index].drop_duplicates(["config_id", "seed"])
    return first.sort_index()


def _in_order_of(grid_points: "pd.DataFrame", runs: "pd.DataFrame") -> "pd.DataFrame":
    place = runs["config_id"].map({config: i for i, config in enumerate(grid_points.index)})
    return runs.assign(place=place).sort_values(["place", "seed"]).drop(columns="place")
