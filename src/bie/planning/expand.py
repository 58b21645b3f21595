"""Axes -> checked configurations, one per grid point, with the keys that do not act taken out."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bie.config import RunConfig, Settings
from bie.errors import BadInput
from bie.planning.compose import GROUPS, SETTINGS, Composed, Configurations
from bie.planning.grammar import Axis, assignments, read_axes
from bie.planning.hydra_keys import params, without_params
from bie.planning.keys import Plain, assign, copied, lookup, references, refuse_what_choices_say, resolve
from bie.planning.settings import IN_THIS_PROCESS, checked_settings, settings_of, split_choices, with_study
from bie.schema import Section, validated
from bie.store.identity import Once

_COLUMNS = ("dataset", "model")  # groups with a column of their own in tables
_BUNDLES = ("metrics", "perturb", "preset", "train")  # groups that are no setting: many at once, under a name


@dataclass(frozen=True)
class Combination:
    """One combination of all axes but the seed's."""

    config: RunConfig  # checked, with the first of the seeds
    seeds: tuple[int, ...]  # in the order given, repetitions included
    grid: dict[str, Any]  # the swept keys that act here, with their values as checked; swept presets by name
    inactive: dict[
        str, str
    ]  # swept or given keys that do not act here, and the choice or setting that says so
    choices: dict[str, str]  # what of the overrides acts here: choices of groups,
    keys: dict[str, Any]  # and values of keys as typed

    @property
    def reasons(self) -> list[str]:
        """The inactive keys with their reasons, one text each."""
        return [f"{key} {_reason(cause)}" for key, cause in self.inactive.items()]


def _reason(cause: str) -> str:
    return f"does not act on {cause}" if cause.split("=")[0] in GROUPS else f"has no effect with {cause}"


@dataclass(frozen=True)
class Expansion:
    """What was asked for, understood."""

    settings: Settings
    launch_keys: dict[str, Any]  # keys of the settings that were given, with their values as typed
    given: frozenset[str]  # sections of all keys that were given, by hand or by the study
    typed: frozenset[str]  # keys that were given by hand
    combinations: list[Combination]
    swept: bool  # whether there is more than one run

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
    swept_by_hydra = read_axes(params(None, overrides), configurations.groups)
    refuse_what_choices_say([*typed, *swept_by_hydra], configurations.groups)
    axes = with_study(typed, overrides, configurations)
    seeds, axes = _take_seed_axis(axes)
    split = [split_choices(dict(assignments(axes, v))) for v in itertools.product(*(a.values for a in axes))]
    for choices in {tuple(choices.items()): choices for choices, _ in split}.values():
        configurations.composed(choices)  # all first: a key of one is looked for among those of the others
    settings, launch_keys = settings_of(axes, seeds, configurations)
    expander = _Expander(configurations, tuple(key for axis in axes if axis.swept for key in axis.keys))
    combinations = [found for each in split for found in expander.combinations(*each, seeds)]
    swept = any(axis.swept for axis in axes) or len(seeds) > 1
    given = frozenset(key.split(".")[0] for axis in axes for key in axis.keys)
    by_hand = frozenset(key for axis in typed for key in axis.keys)
    return Expansion(settings, launch_keys, given, by_hand, combinations, swept)


def _take_seed_axis(axes: list[Axis]) -> tuple[tuple[Any, ...], list[Axis]]:
    """Values of a plain axis of seeds, and the other axes."""
    seeds = [axis for axis in axes if axis.keys == ("seed",)]
    values = tuple(value for (value,) in seeds[0].values) if seeds else ()
    return values, [axis for axis in axes if axis.keys != ("seed",)]


def settled(whole: DictConfig) -> Expansion:
    """The one run of a finished configuration, to be done in this process."""
    plain: Plain = OmegaConf.to_container(whole, resolve=False)  # type: ignore[assignment]
    resolve(plain, whole)
    config = validated(RunConfig, {key: plain[key] for key in plain if key not in SETTINGS})
    here = {"hydra": {"launcher": IN_THIS_PROCESS}}
    settings = checked_settings({key: plain[key] for key in SETTINGS if key != "hydra"} | here)
    combination = Combination(config, (config.seed,), {}, {}, {}, {})
    return Expansion(settings, {}, frozenset(), frozenset(), [combination], False)


class _Runs:
    """Runs of a choice of groups; of 100,000 grid points most have most sections in common."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self._run = {key: value for key, value in composed.plain.items() if key not in SETTINGS}
        self.refers = bool(references(self._run))
        self._made: dict[str, tuple[Plain, dict[str, Any]]] = {}
        self._shared = {id(part): part for part in self._run.values()}
        self._sections: dict[int, Section] = {}  # by the `id` of what is shared

    def with_keys(self, keys: Mapping[str, Any]) -> tuple[Plain, dict[str, Any]]:
        """Plain values of a run with keys set, and the keys that are not there; equal sections are shared."""
        given: dict[str, dict[str, Any]] = {}
        for key, value in keys.items():
            given.setdefault(key.partition(".")[0], {})[key] = value
        run, absent = dict(self._run), dict[str, Any]()
        for name, values in given.items():
            section, unknown = self._section_with(name, values)
            run |= section
            absent |= unknown
        return run, absent

    def _section_with(self, name: str, keys: Mapping[str, Any]) -> tuple[Plain, dict[str, Any]]:
        text = repr(keys)
        if text not in self._made:
            plain = copied({name: self._run[name]}) if name in self._run else {}
            absent = {key: value for key, value in keys.items() if not assign(plain, key, value)}
            self._made[text] = plain, absent
            self._shared |= {id(part): part for part in plain.values()}
        return self._made[text]

    def checked(self, run: Plain) -> RunConfig:
        """Check a run; its sections that are shared are checked the first time."""
        known = {name: self._sections[id(part)] for name, part in run.items() if id(part) in self._sections}
        config = validated(RunConfig, run | known)
        for name in run.keys() - known.keys():
            if isinstance(run[name], dict) and id(run[name]) in self._shared:
                self._sections[id(run[name])] = getattr(config, name)
        return config


class _Expander:
    """Makes combinations of choices and values of keys."""

    def __init__(self, configurations: Configurations, swept: tuple[str, ...]) -> None:
        self.configurations, self.swept = configurations, swept
        self._checked: set[tuple[str, str]] = set()
        self._made: dict[str, list[Combination]] = {}
        self._runs = Once[Composed, _Runs](_Runs)
        self._dumped = Once[Section, Plain](lambda section: section.model_dump(mode="json"))

    def combinations(
        self, choices: dict[str, str], given: Mapping[str, Any], seeds: tuple[Any, ...]
    ) -> Sequence[Combination]:
        """One combination; one for each seed where the seed is part of other values.

        Those that differ in inactive keys alone are the same object: a product of seven scales of seven
        models is 100,000 combinations, and 28 experiments.
        """
        keys = {key: value for key, value in given.items() if key.split(".")[0] not in SETTINGS}
        base = self._runs(self.configurations.composed(choices))
        plain, absent = base.with_keys(keys)
        inactive = {key: self._cause(key, value, choices, base.composed) for key, value in absent.items()}
        acting = {key: value for key, value in keys.items() if key not in inactive}
        same = repr((choices, acting))
        if same not in self._made:
            self._made[same] = list(self._combinations(base, plain, acting, inactive, choices, seeds))
        return self._made[same]

    def _combinations(
        self,
        base: _Runs,
        plain: Plain,
        acting: dict[str, Any],
        inactive: dict[str, str],
        choices: dict[str, str],
        seeds: tuple[Any, ...],
    ) -> Iterator[Combination]:
        values = seeds or (plain["seed"],)
        found = references(plain) if base.refers or "${" in str(acting) else {}
        groups = _alike(found, values)
        shown = [*self.swept, *(found if len(groups) > 1 else ())]
        for group in groups:
            run = plain | {"seed": group[0]}
            if found or "${" in str(group[0]):
                run = copied(run)
                resolve(run, base.composed.finished(acting | {"seed": group[0]}))
                group = (run["seed"],) if isinstance(group[0], str) else group
            config = base.checked(run | {"seed": group[0]})
            checked = tuple(
                seed if _is_seed(seed) else base.checked(run | {"seed": seed}).seed for seed in group
            )
            without_effect = inactive | config.inactive_keys(acting)
            grid = self._grid(config, [key for key in shown if key not in without_effect], choices)
            yield Combination(config, checked, grid, without_effect, choices, acting)

    def _grid(self, config: RunConfig, keys: Sequence[str], choices: Mapping[str, str]) -> dict[str, Any]:
        """Values of the swept keys that act, as checked; presets by name."""
        grid = {}
        for key in keys:
            name, _, rest = key.partition(".")
            value = getattr(config, name, None)
            plain: Any = self._dumped(value) if isinstance(value, Section) else value
            grid[key] = choices.get(key) if key in _BUNDLES else lookup(plain, rest) if rest else plain
        return {k: v for k, v in grid.items() if v is not None and k not in (*_COLUMNS, "seed")}

    def _cause(self, key: str, value: Any, choices: Mapping[str, str], base: Composed) -> str:
        """The choice that has no such key: that of the key's own group, or else the model."""
        under = self.configurations.acts_under(key)
        if under is None:
            raise self.configurations.unknown(key, choices)
        self._check(key, value, under)
        section = key.split(".")[0]
        group = section if section in GROUPS else "model"
        return f"{group}={base.chosen[group]}"

    def _check(self, key: str, value: Any, choices: Mapping[str, str]) -> None:
        """Check a value under a choice of groups where its key acts."""
        if (key, repr(value)) in self._checked or "${" in str(value):
            return
        self._checked.add((key, repr(value)))
        base = self._runs(self.configurations.composed(choices))
        plain = copied(base.with_keys({key: value})[0])
        resolve(plain, base.composed.whole)
        try:
            validated(RunConfig, plain)
        except BadInput as error:
            about = [line for line in str(error).splitlines() if line.startswith((f"{key}=", f"{key}."))]
            if about:
                raise BadInput("\n".join(about)) from None


def _alike(found: Mapping[str, Any], seeds: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Seeds by configurations that differ in nothing else, given the references of these."""
    apart = any("seed" in str(value) for value in found.values())
    apart = apart or any(isinstance(seed, str) and "${" in seed for seed in seeds)
    return [(seed,) for seed in seeds] if apart else [seeds]


def _is_seed(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32
