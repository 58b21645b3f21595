"""Estimated beside true mutual information: the curves of the 2019 notebook, a panel for each kind."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bie.analysis.figures.style import COLOURS, colours, panels, style
from bie.analysis.titles import setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NO_SETTING = ("dataset.name", "dataset.source", "dataset.sha256", "dataset.kind")
MOST_PANELS = 12
ROUNDS = tuple({"marker": mark, "linestyle": line} for mark, line in ((".", "-"), ("x", "-."), ("+", ":")))
"""Of estimators beyond as many as there are colours."""


def estimates(runs: "pd.DataFrame", configs: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """Draw the truth, and mean ±sd for each estimator, over the setting of the data that has most values.

    Parameters
    ----------
    runs
        A row per run: ``config_id``, ``mi_estimate``, ``mi_truth`` and ``mi_cap`` (nats), of one split.
    configs
        Flat settings of each ``config_id``.
    """
    import pandas as pd

    table = pd.DataFrame([configs[config] for config in runs["config_id"]], index=runs.index).join(runs)
    table["estimator"] = _estimators(table)
    found = list(_panels(table))[:MOST_PANELS]
    names = list(dict.fromkeys(table["estimator"]))
    palette = colours(names)
    looks = {
        name: {"color": palette[name], **ROUNDS[i // len(COLOURS) % len(ROUNDS)]}
        for i, name in enumerate(names)
    }
    with style():
        figure, axes = panels(len(found), height=2.3, below=0.4, columns=3)
        for axis, (title, key, part) in zip(axes, found, strict=True):
            _curves(axis, part, key, looks)
            axis.set(title=title, xlabel=key.removeprefix("dataset."))
        axes[0].set_ylabel("nats")
        handles = {
            label: line
            for axis in axes
            for line, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=7)
    return figure


def _estimators(table: "pd.DataFrame") -> "pd.Series[str]":
    """Name of each run's estimator: its model, and what of the settings tells the estimators apart."""
    named = ("model.name", "model.method")
    keys = [str(key) for key in table if str(key).startswith("model.") and key not in named]
    told = [key for key in ("model.critic", "model.estimator") if key in keys and table[key].nunique() > 1]
    groups = table.groupby(["model.name", *told], dropna=False)
    rest = [key for key in keys if key not in told and groups[key].nunique().max() > 1]
    return table[["model.name", *told, *rest]].apply(
        lambda row: " ".join(filter(None, map(setting, row))), axis=1
    )


def _panels(table: "pd.DataFrame") -> "Iterator[tuple[str, str, pd.DataFrame]]":
    """Title, setting on the x axis and runs of each panel."""
    for kind, part in table.groupby("dataset.kind", sort=False):
        keys = [str(key) for key in part if str(key).startswith("dataset.") and key not in _NO_SETTING]
        counts = {key: part[key].nunique() for key in keys}
        x = max(counts, key=lambda key: counts[key])
        others = [key for key in keys if key != x and counts[key] > 1]
        for values, own in part.groupby(others, sort=False) if others else [((), part)]:
            names = [key.removeprefix("dataset.") for key in others]
            told = [f"{key}={setting(value)}" for key, value in zip(names, values, strict=True)]
            yield "\n".join([str(kind).replace("_", "-"), ", ".join(told)]).strip(), x, own


def _curves(axis: "Axes", part: "pd.DataFrame", key: str, looks: Mapping[str, dict[str, Any]]) -> None:
    places = {value: i for i, value in enumerate(dict.fromkeys(part[key]))}
    is_number = all(isinstance(value, int | float) for value in places)
    at = part[key] if is_number else part[key].map(places)
    for name, own in part.dropna(subset=["mi_estimate"]).groupby("estimator", sort=False):
        of = own.groupby(at[own.index])["mi_estimate"].agg(["mean", "std"])
        axis.errorbar(of.index, of["mean"], of["std"].fillna(0), label=str(name), **looks[str(name)])
    true = part.groupby(at)[["mi_truth", "mi_cap"]].mean()
    axis.plot(true.index, true["mi_truth"], "k--", marker="_", label="truth")
    if (true["mi_truth"] > true["mi_cap"]).any():
        axis.plot(true.index, true["mi_cap"], ":", color="#7f7f7f", label="ln n")
    if not is_number:
        axis.set_xticks(list(places.values()), list(map(str, places)), rotation=60, ha="right", fontsize=6)
