"""Axes -> checked configurations, one per grid point, with the keys that do not act taken out."""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bie.config import RunConfig, Settings
from bie.errors import BadInput
from bie.planning.assign import assign, extend, lookup
from bie.planning.compose import GROUPS, Configurations, Plain
from bie.planning.grammar import Axis, read_axes
from bie.planning.silence import inactive, owner
from bie.schema import validated

_SETTINGS = tuple(Settings.model_fields)
_HOW = ("hydra/launcher", "hydra", "site", "pack", "device", "products")
_COLUMNS = ("dataset", "model")  # groups with a column of their own in tables
_BUNDLES = ("preset", "train")  # groups that are no setting: many at once, under a name
_JUDGED_BY = ("baseline", "margins")  # of a study, from config.yaml unless its file says another


@dataclass(frozen=True)
class Combination:
    """One combination of all axes but the seed's.

    Attributes
    ----------
    config
        Checked configuration, with the first of the seeds.
    seeds
        Seeds in the order given, repetitions included.
    grid
        The swept keys that act here, with their values as checked; swept presets by name.
    silent
        The swept or given keys that do not act here, and the choice or setting that silences each.
    """

    config: RunConfig
    seeds: tuple[int, ...]
    grid: dict[str, Any]
    silent: dict[str, str]

    @property
    def reasons(self) -> list[str]:
        """The silent keys with their reasons, one text each."""
        return [f"{key} {_reason(cause)}" for key, cause in self.silent.items()]


def _reason(cause: str) -> str:
    return f"does not act on {cause}" if cause.split("=")[0] in GROUPS else f"has no effect with {cause}"


@dataclass(frozen=True)
class Expansion:
    """What was asked for, understood.

    Attributes
    ----------
    settings
        Of the launch.
    given
        Sections of all keys that were given, by hand or by the study.
    typed
        Keys that were given by hand.
    combinations
        Of all values.
    swept
        Whether that is more than one run.
    """

    settings: Settings
    given: frozenset[str]
    typed: frozenset[str]
    combinations: list[Combination]
    swept: bool

    @property
    def notes(self) -> list[str]:
        """What was typed about the launch and has no effect."""
        silent = self.settings.inactive()
        return [f"{key} has no effect with {why}" for key, why in silent.items() if key in self.given]


def expand(overrides: Sequence[str], configurations: Configurations) -> Expansion:
    """Read overrides, add those of the study they name, compose, apply and check.

    Raises
    ------
    BadInput
        Anything that cannot be read, is unknown or out of range.
    """
    typed = read_axes(overrides, configurations.groups)
    axes = _with_study(typed, overrides, configurations)
    seeds, axes = _take_seed_axis(axes)
    settings = _settings(axes, configurations)
    assigned = [dict(_assignments(axes, values)) for values in itertools.product(*(a.values for a in axes))]
    for each in assigned:  # all before the first: a key of one is looked for among those of the others
        configurations.compose(_choices(each)[0])
    combinations = [_combination(each, seeds, axes, configurations) for each in assigned]
    swept = any(axis.swept for axis in axes) or len(seeds) > 1
    given = frozenset(key.split(".")[0] for axis in axes for key in axis.keys)
    by_hand = frozenset(key for axis in typed for key in axis.keys)
    return Expansion(settings, given, by_hand, combinations, swept)


def _with_study(typed: list[Axis], overrides: Sequence[str], configurations: Configurations) -> list[Axis]:
    """The study's axes first, so that what was typed has the last word."""
    study = next((axis for axis in typed if axis.keys == ("study",)), None)
    if study is None:
        return typed
    if study.swept:
        raise BadInput("study: one study per command; run the command once for each")
    return read_axes([*_sweep_of(str(study.values[0][0]), configurations), *overrides], configurations.groups)


def _sweep_of(study: str, configurations: Configurations) -> list[str]:
    """Overrides of a study's file, which may be the user's own."""
    section = configurations.compose({"study": study}).get("study") or {}
    sweep = section.get("sweep")
    if isinstance(sweep, list) and all(isinstance(text, str) for text in sweep):
        return sweep
    wrong = f"sweep={sweep} is no list of overrides" if "sweep" in section else "sweep is missing"
    has = ", ".join(key for key in section if key not in _JUDGED_BY) or "nothing"
    raise BadInput(
        f"study={study}: {wrong} in its file, which has: {has}. "
        "Write it so: sweep: ['model=scvi,scvi_mine', 'seed=range(5)']"
    )


def _take_seed_axis(axes: list[Axis]) -> tuple[tuple[Any, ...], list[Axis]]:
    """Values of a plain axis of seeds, and the other axes."""
    seeds = [axis for axis in axes if axis.keys == ("seed",)]
    values = tuple(value for (value,) in seeds[0].values) if seeds else ()
    return values, [axis for axis in axes if axis.keys != ("seed",)]


def _settings(axes: Sequence[Axis], configurations: Configurations) -> Settings:
    """Settings of the launch: one value each, the same for all runs."""
    for axis in axes:
        for key in axis.keys:
            if axis.swept and (key in ("hydra/launcher", "study") or key.split(".")[0] in _SETTINGS):
                raise BadInput(f"{key} cannot be swept: it is one for the whole launch")
    fixed = dict(_assignments(axes, [axis.values[0] for axis in axes]))
    choices, keys = _choices(fixed)
    plain = copy.deepcopy(configurations.compose(choices))
    for key, value in keys.items():
        if key.split(".")[0] in _SETTINGS and not (extend(plain, key, value) or assign(plain, key, value)):
            raise configurations.misplaced(key, choices) or configurations.unknown(key, choices)
    return validated(Settings, {key: plain[key] for key in _SETTINGS})


def amended(stored: Plain, overrides: Sequence[str], configurations: Configurations) -> Settings:
    """Settings of an earlier launch, with what was typed about launcher and site changed.

    Raises
    ------
    BadInput
        Something else was typed, or cannot be read, is unknown or out of range.
    """
    axes = read_axes(overrides, configurations.groups)
    for axis in axes:
        for key in axis.keys:
            if axis.swept or key.split(".")[0] not in _HOW:
                raise BadInput(
                    f"{key}: only launcher, site, pack, device and products can be changed, to one value; "
                    "runs stay as they are"
                )
    choices, keys = _choices(dict(_assignments(axes, [axis.values[0] for axis in axes])))
    chosen = copy.deepcopy(configurations.compose(choices))
    unknown_then = {key: chosen[key] for key in _SETTINGS if key not in stored}
    plain = copy.deepcopy(stored) | unknown_then
    plain |= {section: chosen[section] for section in ("hydra", "site") if _names(section, choices)}
    for key, value in keys.items():
        if not (extend(plain, key, value) or assign(plain, key, value)):
            raise configurations.unknown(key, choices)
    return validated(Settings, plain)


def _names(section: str, choices: Mapping[str, str]) -> bool:
    return any(group.split("/")[0] == section for group in choices)


def _combination(
    assigned: Mapping[str, Any], seeds: tuple[Any, ...], axes: Sequence[Axis], configurations: Configurations
) -> Combination:
    choices, given = _choices(assigned)
    keys = {key: value for key, value in given.items() if key.split(".")[0] not in _SETTINGS}
    plain = copy.deepcopy(configurations.compose(choices))
    silent = {}
    for key, value in keys.items():
        if not assign(plain, key, value):
            if not configurations.acts(key):
                raise configurations.unknown(key, choices)
            silent[key] = owner(key, choices, plain)
    run = {key: value for key, value in plain.items() if key not in _SETTINGS}
    values = seeds or (plain["seed"],)
    config, checked = _checked(run, values)
    silent |= inactive(config, keys)
    swept = [key for axis in axes if axis.swept for key in axis.keys if key != "seed"]
    dumped = config.model_dump(mode="json")
    acting = {
        key: choices.get(key) if key in _BUNDLES else lookup(dumped, key)
        for key in swept
        if key not in (*silent, *_COLUMNS)
    }
    grid = {key: value for key, value in acting.items() if value is not None}
    return Combination(config, checked, grid, silent)


def _checked(run: Plain, seeds: Sequence[Any]) -> tuple[RunConfig, tuple[int, ...]]:
    config = validated(RunConfig, run | {"seed": seeds[0]})
    return config, tuple(
        value
        if type(value) is int and 0 <= value < 2**32
        else validated(RunConfig, run | {"seed": value}).seed
        for value in seeds
    )


def _assignments(axes: Sequence[Axis], values: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    for axis, row in zip(axes, values, strict=True):
        yield from zip(axis.keys, row, strict=True)


def _choices(assigned: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Split assignments into choices of groups and values of keys."""
    choices = {key: str(value) for key, value in assigned.items() if key in GROUPS}
    return choices, {key: value for key, value in assigned.items() if key not in GROUPS}
