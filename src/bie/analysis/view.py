"""Which part of a study is shown, and which settings are its rows, columns and facets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from bie.analysis.baseline import MOST_NAMED, same
from bie.analysis.controls import is_control
from bie.analysis.numbers import setting
from bie.analysis.study import Study
from bie.errors import BadInput
from bie.metrics import scib
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

HEADLINE = tuple(name for name, card in CARDS.items() if card.headline)
SPLITS = ("test", "train")


@dataclass(frozen=True)
class View:
    """What to show of a study.

    Attributes
    ----------
    rows, columns, facets
        Settings: the first columns of the table, what its metrics are repeated for, one table for each of
        their values; no facet: one table. A setting that varies and is not named is a row.
    where
        Grid points to keep: a setting and its values.
    metrics
        In this order.
    splits
        ``test``, ``train``.
    rescale
        Whether values are shown on the scale of the controls, 0 the worst and 1 the best of them.
    """

    rows: tuple[str, ...] = ("model",)
    columns: tuple[str, ...] = ()
    facets: tuple[str, ...] = ("dataset",)
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    metrics: tuple[str, ...] = HEADLINE
    splits: tuple[str, ...] = ("test",)
    rescale: bool = False

    @property
    def names(self) -> set[str]:
        """Settings that it speaks of."""
        return {*self.rows, *self.columns, *self.facets, *(key for key, _ in self.where)}


def read_view(
    by: str | None, where: Sequence[str], metrics: str | None, split: str | None, rescale: bool = False
) -> View:
    """Understand what was typed.

    Parameters
    ----------
    by
        ``ROWS/COLUMNS/FACETS``, each a list of settings; later parts may be left out. There is a table for
        each data set unless the data set is named elsewhere.
    where
        ``KEY=VALUE[,VALUE]``, each of which has to hold.
    metrics
        Names with commas between; ``headline``, ``all`` and ``scib`` (what ``metrics=scib`` adds) stand for
        several.
    split
        ``test``, ``train`` or both.

    Raises
    ------
    BadInput
        A metric or a part that does not exist, a condition without a value, a setting named twice.
    """
    parts = [_listed(part) for part in (by or "").split("/")]
    if len(parts) > 3:
        raise BadInput(
            f"--by {by}: at most three parts, ROWS/COLUMNS/FACETS, such as model/mine.scale/dataset"
        )
    rows, columns, facets, *_ = [*parts, (), ()]
    _check_once(f"--by {by}", [key for part in parts for key in part], "it has one place in a table")
    several = {"all": tuple(CARDS), "headline": HEADLINE, "scib": tuple(scib.CARDS)}
    asked = _listed(metrics or "") or ("headline",)
    shown = tuple(dict.fromkeys(name for word in asked for name in several.get(word, (word,))))
    splits = _listed(split or "test")
    _check("--metrics", shown, tuple(CARDS))
    _check("--split", splits, SPLITS)
    conditions = tuple(map(_condition, where))
    _check_once(
        "--where", [key for key, _ in conditions], "several values have commas between: KEY=VALUE,VALUE"
    )
    by_default = () if "dataset" in (*rows, *columns) else ("dataset",)
    return View(rows or ("model",), columns, facets or by_default, conditions, shown, splits, rescale)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _condition(text: str) -> tuple[str, tuple[str, ...]]:
    key, equals, values = text.partition("=")
    if not equals or not _listed(values):
        raise BadInput(f"--where {text}: not KEY=VALUE or KEY=VALUE,VALUE, such as mine.scale=50,150")
    return key.strip(), _listed(values)


def _check(option: str, given: Sequence[str], known: Sequence[str], more: Sequence[str] = ()) -> None:
    """Refuse names that are neither known nor among those that there are besides, too many to be listed."""
    for name in given:
        if name not in known and name not in more:
            near = get_close_matches(name, [*known, *more], n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            besides = f"; and {len(more)} further settings of the runs" if more else ""
            raise BadInput(f"{option} {name}: there is none.{hint} There are: {', '.join(known)}{besides}")


def _check_once(option: str, keys: Sequence[str], why: str) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise BadInput(f"{option}: {key} is named twice; {why}")


def by_facet(points: "pd.DataFrame", facets: Sequence[str]) -> "Iterable[tuple[Any, pd.DataFrame]]":
    """Grid points of each table with its values of the facets."""
    return points.groupby(list(facets), sort=False, dropna=False) if facets else [((), points)]


def _check_scale(study: Study, found: "pd.DataFrame", facets: Sequence[str]) -> None:
    """Refuse to rescale where no table has two controls, shown or not, on the cells of all its rows."""
    cells = study.data_sets
    for _, rows in by_facet(found, facets):
        here = cells.loc[rows.index].unique()
        controls = [config for config in cells.index[cells.isin(here)] if is_control(study, config)]
        if len(controls) > 1 and len(here) == 1:
            return
    raise BadInput(
        "--rescale: no table of these rows has two controls on the same cells, between which values could be "
        "measured. Run some too, such as model=noise,labels_only,pca"
    )


def _check_values(study: Study, view: View) -> None:
    """Refuse a choice of metrics of which no run has any; the usual ones make a table all the same."""
    wanted = [(split, metric) for split in view.splits for metric in view.metrics]
    there = study.values.columns[study.values.notna().any()]
    if view.metrics != HEADLINE and not any(key in there for key in wanted):
        raise BadInput(f"--metrics {','.join(view.metrics)}: no run of the study has a value of these")


def points(study: Study, view: View) -> "pd.DataFrame":
    """Grid points of a view with their settings.

    Returns
    -------
    DataFrame
        Indexed by ``config_id``, in the order of the table: a column for each setting that varies or that
        the view names; what does not act on a model is None there.

    Raises
    ------
    BadInput
        A setting that no run has, conditions that no grid point meets, no controls to rescale by,
        no value of the metrics.
    """
    named = [*view.facets, *view.rows, *view.columns]
    keys = dict.fromkeys([*named, "dataset", "model", *study.grid, *(key for key, _ in view.where)])
    rows = ("dataset", "model", "config_id", *study.grid)
    further = {key for config in study.configs.values() for key in config} - {*rows}
    _check("--by or --where:", list(keys), rows, sorted(further))
    table = study.grid_points.assign(**{key: _column(study, key) for key in [*keys, "config_id"]})
    keep = [
        all(any(_is(row[key], key, value) for value in values) for key, values in view.where)
        for row in table.to_dict("records")
    ]
    if not any(keep):
        typed = " ".join(f"{key}={','.join(values)}" for key, values in view.where)
        there = "; ".join(f"{key}: {_values(table[key])}" for key, _ in view.where)
        raise BadInput(f"--where {typed}: no row of the study is that. There are {there}")
    found = table.loc[keep, list(keys)]
    _check_values(study, view)
    if view.rescale:
        _check_scale(study, found, view.facets)
    return found


def _is(value: Any, key: str, text: str) -> bool:
    """Whether a setting has the value that was typed, or a grid point an id that begins so."""
    return same(value, text) or (key == "config_id" and len(text) >= 4 and str(value).startswith(text))


def _column(study: Study, key: str) -> list[Any]:
    import pandas as pd

    if key == "config_id":
        return list(study.grid_points.index)
    if key in study.grid_points:
        return [None if pd.isna(value) else value for value in study.grid_points[key].tolist()]
    return [study.configs.get(config, {}).get(key) for config in study.grid_points.index]


def _values(column: "pd.Series[Any]") -> str:
    values = list(dict.fromkeys(map(setting, column)))
    more = f"; and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return ", ".join(values[:MOST_NAMED]) + more
