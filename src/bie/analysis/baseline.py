"""What a study is judged by: the row that all others are compared with, and the margins that matter."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from bie.analysis.grid import BASELINE
from bie.analysis.numbers import NOTHING, setting
from bie.analysis.study import Study
from bie.errors import BadInput
from bie.metrics.cards import CARDS
from bie.store.provenance import configuration_folder

if TYPE_CHECKING:
    import pandas as pd

Margin = float | str | None
"""In the unit of the metric, or as a share of the baseline's mean: ``"0.5%"``; None: no margin."""

FEW_NAMED = 3  # rows that each are named
MOST_NAMED = 20  # rows in an error


def baselines(study: Study, wanted: str | None = None) -> "pd.Series[str]":
    """``config_id`` of the baseline of each grid point, missing where its data set has none.

    Parameters
    ----------
    wanted
        Name of a row: a model, the beginning of a ``config_id``, settings, or several of these
        (``"scvi_mine mine.scale=50"``). The first row of a data set that fits is its baseline. By default
        what the study's settings say (``study.baseline``), else ``scvi``.

    Raises
    ------
    BadInput
        No row fits what was asked for; the message names the rows.
    """
    asked = wanted or study.asked.get("baseline")
    group = study.data_sets
    rows = {
        str(config): {**study.configs.get(str(config), {}), "model": model}
        for config, model in study.grid_points["model"].items()
    }
    found = fitting(rows, asked or BASELINE)
    if asked and not found:
        raise no_such_row(asked, row_names(study).values())
    first: dict[int, str] = {}
    for config in found:
        first.setdefault(group[config], config)
    return group.map(first)


def fitting(rows: Mapping[str, Mapping[str, Any]], wanted: str) -> list[str]:
    """``config_id`` of each row that is what was asked for.

    Parameters
    ----------
    rows
        Flat settings of each ``config_id``; ``model`` is its name.
    wanted
        See `baselines`.
    """
    words = re.split(r"[\s,]+", wanted.strip())
    return [c for c, settings in rows.items() if all(_fits(c, settings, word) for word in words)]


def _fits(config: str, settings: Mapping[str, Any], word: str) -> bool:
    key, equals, value = word.partition("=")
    if not equals:
        return word == settings["model"] or (len(word) >= 4 and config.startswith(word))
    return same(settings.get(key, settings.get(f"{settings['model']}.{key}")), value)


def same(value: Any, text: str) -> bool:
    """Whether a setting has the value that was typed.

    >>> same(1000, "1e3"), same(None, "null"), same(True, "true"), same("nb", "zinb")
    (True, True, True, False)
    """
    if value is None or value != value:
        return text in ("null", NOTHING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() == text.lower()
    try:
        return float(text) == value
    except ValueError:
        return False


def row_names(study: Study) -> dict[str, str]:
    """Names of all rows: the model and the settings that tell it apart, which do not say its name again."""
    texts = {key: [setting(value) for value in study.grid_points[key]] for key in study.grid}
    told = [
        [(key, texts[key][i]) for key in study.grid if texts[key][i] != NOTHING]
        for i in range(len(study.grid_points))
    ]
    return {
        str(config): " ".join([model, *(f"{key.removeprefix(f'{model}.')}={text}" for key, text in settings)])
        for (config, model), settings in zip(study.grid_points["model"].items(), told, strict=True)
    }


def row_name(study: Study, config: str) -> str:
    """Name of one row."""
    return row_names(study)[config]


def any_of(names: Sequence[str]) -> str:
    """Names of baselines; of many, as on cells perturbed in many ways, what all have in common."""
    if len(names) <= FEW_NAMED:
        return f"{' or '.join(names)} on the same splits"
    common = [word for word in names[0].split(" ") if all(word in name.split(" ") for name in names)]
    return f"{' '.join(common)} on the same data and splits ({len(names)} rows)"


def no_such_row(asked: str, names: Iterable[str]) -> BadInput:
    """The error that names the nearest rows."""
    known = list(dict.fromkeys(names))
    near = get_close_matches(asked, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    more = f"; and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    rows = "; ".join(known[:MOST_NAMED])
    return BadInput(f"study.baseline={asked}: no row of this study is that.{hint} Rows: {rows}{more}")


def margins(study: Study, given: Mapping[str, Margin] | None = None) -> dict[str, Margin]:
    """Margin of each metric: what is given, else what the study's settings say, else ``conf/config.yaml``.

    Raises
    ------
    BadInput
        A metric that does not exist, or a margin that is none.
    """
    from omegaconf import OmegaConf

    conf: Any = OmegaConf.to_container(OmegaConf.load(configuration_folder() / "config.yaml"))
    checked = {name: _checked(name, margin) for name, margin in (given or {}).items()}
    return {**conf["study"]["margins"], **(study.asked.get("margins") or {}), **checked}


def _checked(name: str, margin: object) -> Margin:
    from pydantic import TypeAdapter, ValidationError

    from bie.config.launch import Margin as Checked

    if name not in CARDS:
        near = get_close_matches(name, CARDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise BadInput(f"study.margins.{name}: there is no such metric.{hint} Metrics: {', '.join(CARDS)}")
    try:
        found: Margin = TypeAdapter(Checked | None).validate_python(margin)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"study.margins.{name}={margin}: {reason}") from None
    return found


def absolute(margin: Margin, baseline: Any) -> Any:
    """Margin in the unit of the metric, NaN for none.

    Parameters
    ----------
    baseline
        Mean of the baseline, number or array.

    >>> absolute("0.5%", -200.0), absolute(0.02, 5.0)
    (1.0, 0.02)
    """
    if isinstance(margin, str):
        return float(margin.removesuffix("%")) / 100 * abs(baseline)
    return (math.nan if margin is None else margin) + 0 * abs(baseline)
