"""Axes -> checked configurations, one per grid point, with the keys that do not act taken out."""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from bie.config import RunConfig, Settings
from bie.errors import BadInput
from bie.planning.compose import GROUPS, Composed, Configurations, Plain, in_words, is_ours
from bie.planning.grammar import Axis, read_axes
from bie.planning.hydra_keys import params, without_params
from bie.planning.inactive_keys import inactive_keys, without_owner
from bie.planning.values import assign, copied, lookup, references, resolve
from bie.schema import validated

_SETTINGS = tuple(Settings.model_fields)
_HOW = ("hydra/launcher", "hydra", "site", "pack", "device", "products", "environment")
_COLUMNS = ("dataset", "model")  # groups with a column of their own in tables
_BUNDLES = ("metrics", "perturb", "preset", "train")  # groups that are no setting: many at once, under a name
_JUDGED_BY = ("baseline", "margins")  # of a study, from config.yaml unless its file says another
_IN_THIS_PROCESS = {"kind": "local", "workers": 0}


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
    inactive
        The swept or given keys that do not act here, and the choice or setting because of which.
    choices, keys
        What of the overrides acts here: choices of groups, values of keys as typed.
    """

    config: RunConfig
    seeds: tuple[int, ...]
    grid: dict[str, Any]
    inactive: dict[str, str]
    choices: dict[str, str]
    keys: dict[str, Any]

    @property
    def reasons(self) -> list[str]:
        """The inactive keys with their reasons, one text each."""
        return [f"{key} {_reason(cause)}" for key, cause in self.inactive.items()]


def _reason(cause: str) -> str:
    return f"does not act on {cause}" if cause.split("=")[0] in GROUPS else f"has no effect with {cause}"


@dataclass(frozen=True)
class Expansion:
    """What was asked for, understood.

    Attributes
    ----------
    settings
        Of the launch.
    launch_keys
        Keys of the settings that were given, with their values as typed.
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
    launch_keys: dict[str, Any]
    given: frozenset[str]
    typed: frozenset[str]
    combinations: list[Combination]
    swept: bool

    @property
    def notes(self) -> list[str]:
        """What was typed about the launch and has no effect."""
        inactive = self.settings.inactive()
        return [f"{key} has no effect with {why}" for key, why in inactive.items() if key in self.given]


def expand(overrides: Sequence[str], configurations: Configurations) -> Expansion:
    """Read overrides, add those of the study they name, compose, apply and check.

    Raises
    ------
    BadInput
        Anything that cannot be read, is unknown or out of range.
    """
    typed = read_axes(without_params(overrides), configurations.groups)
    axes = _with_study(typed, overrides, configurations)
    seeds, axes = _take_seed_axis(axes)
    assigned = [dict(_assignments(axes, values)) for values in itertools.product(*(a.values for a in axes))]
    for each in assigned:  # all before the first: a key of one is looked for among those of the others
        configurations.compose(_choices(each)[0])
    settings, launch_keys = _settings(axes, seeds, configurations)
    expander = _Expander(configurations, tuple(key for axis in axes if axis.swept for key in axis.keys))
    combinations = [found for each in assigned for found in expander.combinations(each, seeds)]
    swept = any(axis.swept for axis in axes) or len(seeds) > 1
    given = frozenset(key.split(".")[0] for axis in axes for key in axis.keys)
    by_hand = frozenset(key for axis in typed for key in axis.keys)
    return Expansion(settings, launch_keys, given, by_hand, combinations, swept)


def _with_study(typed: list[Axis], overrides: Sequence[str], configurations: Configurations) -> list[Axis]:
    """The axes of the study and of ``hydra.sweeper.params`` first: what was typed has the last word."""
    study = next((axis for axis in typed if axis.keys == ("study",)), None)
    if study and study.swept:
        raise BadInput("study: one study per command; run the command once for each")
    first = _sweep_of(str(study.values[0][0]), configurations) if study else []
    configured = OmegaConf.to_container(configurations.composed({}).whole.hydra.sweeper)
    first += params(configured.get("params"), overrides)  # type: ignore[union-attr]
    return read_axes([*first, *without_params(overrides)], configurations.groups) if first else typed


def _sweep_of(study: str, configurations: Configurations) -> list[str]:
    """Overrides of a study's file, which may be the user's own."""
    section = configurations.compose({"study": study}).get("study") or {}
    sweep = section.get("sweep")
    if isinstance(sweep, list) and all(isinstance(text, str) for text in sweep):
        return list(sweep)
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


def _settings(
    axes: Sequence[Axis], seeds: Sequence[Any], configurations: Configurations
) -> tuple[Settings, dict[str, Any]]:
    """Settings of the launch: one value each, the same for all runs; and what of them was given."""
    for axis in axes:
        for key in axis.keys:
            if axis.swept and (key in ("hydra/launcher", "study") or key.split(".")[0] in _SETTINGS):
                raise BadInput(_one_for_all(key, [value[axis.keys.index(key)] for value in axis.values]))
    fixed = dict(_assignments(axes, [axis.values[0] for axis in axes]))
    choices, keys = _choices(fixed)
    composed = configurations.composed(choices)
    plain = copied(composed.plain)
    applied = dict(zip(("seed",), seeds[:1], strict=False))
    for key, value in keys.items():
        if assign(plain, key, value):
            applied[key] = value
        elif key.split(".")[0] in _SETTINGS:
            raise configurations.misplaced(key, choices) or configurations.unknown(key, choices)
    settings = {key: plain[key] for key in _SETTINGS}
    resolve(settings, finished(composed, applied))
    given = {key: value for key, value in applied.items() if key.split(".")[0] in _SETTINGS}
    return _checked_settings(settings), given


def _checked_settings(settings: Plain) -> Settings:
    launcher = settings["hydra"]["launcher"]
    if not is_ours(launcher):
        launcher = _IN_THIS_PROCESS  # what one from elsewhere starts is single runs
    return validated(Settings, settings | {"hydra": {"launcher": launcher}})


def settled(whole: DictConfig) -> Expansion:
    """The one run of a finished configuration, to be done in this process."""
    plain: Plain = OmegaConf.to_container(whole, resolve=False)  # type: ignore[assignment]
    resolve(plain, whole)
    config, seeds = _checked({key: plain[key] for key in plain if key not in _SETTINGS}, (plain["seed"],))
    settings = _checked_settings(
        {key: plain[key] for key in _SETTINGS if key != "hydra"} | {"hydra": {"launcher": _IN_THIS_PROCESS}}
    )
    combination = Combination(config, seeds, {}, {}, {}, {})
    return Expansion(settings, {}, frozenset(), frozenset(), [combination], False)


def _one_for_all(key: str, values: Sequence[Any]) -> str:
    text = ",".join(map(str, values))
    quoted = "" if "/" in key or key == "study" else f""". As one text: '{key}="{text}"'"""
    return f"{key} cannot be swept: it is one for the whole launch{quoted}"


def finished(composed: Composed, keys: Mapping[str, Any]) -> DictConfig:
    """A composed configuration with values of keys, Hydra's own tree included."""
    whole = copy.deepcopy(composed.whole)
    _set(whole, keys)
    return whole


def _set(whole: DictConfig, keys: Mapping[str, Any]) -> None:
    OmegaConf.set_readonly(whole, False)
    OmegaConf.set_readonly(whole.hydra, False)
    with open_dict(whole), in_words(" ".join(f"{key}={value}" for key, value in keys.items())):
        for key, value in keys.items():
            OmegaConf.update(whole, key, value, merge=True, force_add=True)
    HydraConfig.instance().cfg = whole  # type: ignore[assignment]  # for ${hydra:...}


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
                    f"{key}: only launcher, site, pack, device, products and environment can be changed, to "
                    "one value; runs stay as they are"
                )
    choices, keys = _choices(dict(_assignments(axes, [axis.values[0] for axis in axes])))
    chosen = copied(configurations.compose(choices))
    resolve(chosen, configurations.composed(choices).whole)
    unknown_then = {key: chosen[key] for key in _SETTINGS if key not in stored}
    plain = copied(stored) | unknown_then
    plain |= {section: chosen[section] for section in ("hydra", "site") if _names(section, choices)}
    for key, value in keys.items():
        if not assign(plain, key, value):
            raise configurations.unknown(key, choices)
    resolve(plain, OmegaConf.create(plain))
    return validated(Settings, plain)


def _names(section: str, choices: Mapping[str, str]) -> bool:
    return any(group.split("/")[0] == section for group in choices)


class _Expander:
    """Makes combinations of assignments; what a choice of groups composes to is looked up once."""

    def __init__(self, configurations: Configurations, swept: tuple[str, ...]) -> None:
        self.configurations, self.swept = configurations, swept
        self._checked: set[tuple[str, str]] = set()

    def combinations(self, assigned: Mapping[str, Any], seeds: tuple[Any, ...]) -> Iterator[Combination]:
        """One combination; one for each seed where the seed is part of other values."""
        choices, given = _choices(assigned)
        keys = {key: value for key, value in given.items() if key.split(".")[0] not in _SETTINGS}
        composed = self.configurations.composed(choices)
        plain = {key: value for key, value in copied(composed.plain).items() if key not in _SETTINGS}
        inactive = {}
        for key, value in keys.items():
            if not assign(plain, key, value):
                if not self.configurations.acts(key):
                    raise self.configurations.unknown(key, choices)
                self._check(key, value)
                inactive[key] = without_owner(key, composed)
        acting = {key: value for key, value in keys.items() if key not in inactive}
        values = seeds or (plain["seed"],)
        found = dict(references(plain))
        groups = _alike(found, values)
        shown = [*self.swept, *(found if len(groups) > 1 else ())]
        for group in groups:
            run = plain | {"seed": group[0]}
            if found or "${" in str(group[0]):
                run = copied(run)
                resolve(run, finished(composed, acting | {"seed": group[0]}))
                group = (run["seed"],) if isinstance(group[0], str) else group
            yield self._combination(run, group, inactive, choices, acting, shown)

    def _combination(
        self,
        run: Plain,
        seeds: tuple[Any, ...],
        absent: Mapping[str, str],
        choices: dict[str, str],
        keys: dict[str, Any],
        shown: Sequence[str],
    ) -> Combination:
        config, checked = _checked(run, seeds)
        inactive = {**absent, **inactive_keys(config, keys)}
        dumped = config.model_dump(mode="json")
        grid = {
            key: choices.get(key) if key in _BUNDLES else lookup(dumped, key)
            for key in shown
            if key not in inactive and key not in _COLUMNS and key != "seed"
        }
        telling = {key: value for key, value in grid.items() if value is not None}
        return Combination(config, checked, telling, inactive, choices, keys)

    def _check(self, key: str, value: Any) -> None:
        """Check a value under a choice of groups where its key acts."""
        if (key, repr(value)) in self._checked or "${" in str(value):
            return
        self._checked.add((key, repr(value)))
        choices = self.configurations.acts_under(key)
        plain = copied(self.configurations.compose(choices))
        assign(plain, key, value)
        resolve(plain, self.configurations.composed(choices).whole)
        try:
            validated(RunConfig, {name: part for name, part in plain.items() if name not in _SETTINGS})
        except BadInput as error:
            about = [line for line in str(error).splitlines() if line.startswith((f"{key}=", f"{key}."))]
            if about:
                raise BadInput("\n".join(about)) from None


def _alike(found: Mapping[str, Any], seeds: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Seeds by configurations that differ in nothing else, given the references of these."""
    apart = any("seed" in str(value) for value in found.values())
    apart = apart or any(isinstance(seed, str) and "${" in seed for seed in seeds)
    return [(seed,) for seed in seeds] if apart else [seeds]


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
