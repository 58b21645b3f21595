"""Which settings tell the grid points of a study apart."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

Plain = dict[str, Any]

METHODS = ("harmony", "scvi_tools", "classifier")
"""Methods without a section ``train`` that are no controls: what they should score is not known."""
BASELINE = "scvi"  # the model that all others are compared with
OTHER_THAN_CELLS = ("pairs", "sets")  # sources of data, called as what they hold
CONTENT = "dataset.sha256"  # differs wherever a setting of the data does: shown only if nothing else tells
PLACE = "origin."  # of settings that say where the content comes from: shown in its stead
_UNTOLD = ("seed", "dataset.unlabelled_sha256")  # the latter differs only where CONTENT does


def flat(config: Mapping[str, Any], prefix: str = "") -> Plain:
    """Settings under their dotted names, without the seed and a second hash of the data; lists as JSON text.

    >>> flat({"seed": 1, "mine": {"scale": 10.0}})
    {'mine.scale': 10.0}
    """
    settings: Plain = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            settings |= flat(value, f"{prefix}{key}.")
        elif f"{prefix}{key}" not in _UNTOLD:
            settings[prefix + key] = json.dumps(value) if isinstance(value, list) else value
    return settings


def describe_grid_points(
    runs: "pd.DataFrame", configs: Mapping[str, Plain], grids: Mapping[str, Plain]
) -> "pd.DataFrame":
    """Name the grid points of a study by the settings in which they differ.

    Parameters
    ----------
    runs
        Columns ``config_id``, ``dataset``, ``model``; any number of rows per ``config_id``.
    configs
        Flat configuration of each ``config_id``, as far as it is known.
    grids
        The settings that its launch swept.

    Returns
    -------
    DataFrame
        Indexed by ``config_id``, sorted by the columns, of the models the baseline first and controls last:
        ``dataset``, ``model``, then a column for each swept setting with more than one value, and for each
        other setting without which two grid points of a model on a dataset would look alike (studies whose
        launches swept different things). A setting that does not act on a model is missing there.
    """
    import numpy as np

    points = runs[["config_id", "dataset", "model"]].drop_duplicates("config_id").set_index("config_id")
    names = dict(zip(points.index, points.to_numpy().tolist(), strict=True))
    swept = {key for grid in grids.values() for key in grid} - _unsure(names, configs, grids)
    settings = {
        config: {key: value for key, value in grids.get(config, {}).items() if key in swept}
        | configs.get(config, {})
        for config in points.index
    }
    keys = sorted(_varying(settings.values(), swept))
    keys = sorted({*keys, *_further(names, settings, keys)})
    for key in keys:
        points[key] = _column([settings[config].get(key) for config in points.index])
    control = np.array([known_score(settings[config]) for config in points.index], dtype=bool)
    points["place"] = np.where(control, 2, points["model"] != BASELINE)
    order = ["dataset", "place", "model", *keys, "config_id"]
    ordered = points.reset_index().sort_values(order, na_position="first").set_index("config_id")
    typed = {key: key.replace(PLACE, "dataset.") for key in keys if key.startswith(PLACE)}
    return ordered.drop(columns="place").rename(columns=typed)


def known_score(settings: Mapping[str, Any]) -> bool:
    """Whether a grid point is a control: a method of which it is known what it must score."""
    return settings.get("model.method", METHODS[0]) not in (None, *METHODS)


def _unsure(
    names: Mapping[str, list[str]], configs: Mapping[str, Plain], grids: Mapping[str, Plain]
) -> set[str]:
    """Swept keys that no config holds (a preset, a path) and that one launch swept, another did not.

    The value in the other launch is not known: what the key stands for in the configs has to tell.
    """
    held = {key for config in configs.values() for key in config}
    unsure: set[str] = set()
    for _, group in groupby(sorted(names, key=names.__getitem__), key=names.__getitem__):
        rows = [set(grids.get(config, {})) for config in group]
        unsure |= rows[0].union(*rows) - rows[0].intersection(*rows) - held
    return unsure


def _varying(settings: Iterable[Plain], keys: Iterable[str], absent_counts: bool = False) -> set[str]:
    """Those of the keys that have two values or more."""
    rows = list(settings)
    values = {key: {row.get(key) for row in rows if absent_counts or key in row} for key in keys}
    return {key for key, found in values.items() if len(found) > 1}


def _further(names: Mapping[str, list[str]], settings: Mapping[str, Plain], keys: list[str]) -> set[str]:
    """Settings needed besides `keys` to tell apart the grid points that share a name."""

    def name(config: str) -> str:
        return json.dumps([*names[config], *(settings[config].get(key) for key in keys)])

    needed: set[str] = set()
    for _, group in groupby(sorted(settings, key=name), key=name):
        twins = [settings[config] for config in group]
        differing = _varying(twins, {key for row in twins for key in row}, absent_counts=True)
        settings_differ = {key for key in differing if key != CONTENT and not key.startswith(PLACE)}
        needed |= settings_differ or differing - {CONTENT} or differing
    return needed


def place(origin: Mapping[str, Any]) -> Plain:
    """Where the cells of a record came from, under dotted names: path, columns, whatever its section says.

    >>> place({"sha256": "0dd1", "path": "a.h5ad", "layer": None})
    {'origin.path': 'a.h5ad'}
    """
    said = {key: value for key, value in origin.items() if not key.endswith("sha256") and value is not None}
    return {f"{PLACE}{key}": value for key, value in said.items()}


def _column(values: list[Any]) -> "ExtensionArray":
    """One type for a column: whole numbers, numbers, truth values or text."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    for dtype, allowed in (("boolean", {bool}), ("Int64", {int}), ("Float64", {int, float})):
        if kinds <= allowed:
            return pd.array(values, dtype=dtype)  # type: ignore[call-overload,no-any-return]
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pd.array(texts, dtype="string")
