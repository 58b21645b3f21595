"""A composed configuration and values set in it; of 100,000 grid points most have most sections in common."""

import copy
from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from bie.config import RunConfig, Settings
from bie.planning.keys import Plain, as_bad_input, assign, copied, references
from bie.schema import Section, validated

SETTINGS = tuple(Settings.model_fields)
"""Root keys of the launch; the others are those of a run."""


class Composed:
    """What a choice of groups composes to."""

    def __init__(self, whole: DictConfig) -> None:
        self.whole = whole  # as Hydra has it, its own tree included
        self.plain = plain_of(whole)
        self.chosen: dict[str, str] = dict(whole.hydra.runtime.choices)  # of each group, by default or not
        self._run = {key: value for key, value in self.plain.items() if key not in SETTINGS}
        self.refers = any(True for _ in references(self._run))  # whether a run's part has a ``${...}``
        self._made: dict[str, tuple[Plain, dict[str, Any]]] = {}
        self._shared = {id(part): part for part in self._run.values()}
        self._sections: dict[int, Section] = {}  # by the `id` of what is shared

    def run_with(self, keys: Mapping[str, Any]) -> tuple[Plain, dict[str, Any]]:
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

    def validated(self, run: Plain) -> RunConfig:
        """Check a run; its sections that are shared are checked the first time."""
        known = {name: self._sections[id(part)] for name, part in run.items() if id(part) in self._sections}
        config = validated(RunConfig, run | known)
        for name in run.keys() - known.keys():
            if isinstance(run[name], dict) and id(run[name]) in self._shared:
                self._sections[id(run[name])] = getattr(config, name)
        return config

    def finished(self, keys: Mapping[str, Any]) -> DictConfig:
        """The whole with values of keys."""
        whole = copy.deepcopy(self.whole)
        OmegaConf.set_readonly(whole, False)
        OmegaConf.set_readonly(whole.hydra, False)
        with open_dict(whole), as_bad_input(" ".join(f"{key}={value}" for key, value in keys.items())):
            for key, value in keys.items():
                OmegaConf.update(whole, key, value, merge=True, force_add=True)
        HydraConfig.instance().cfg = whole  # type: ignore[assignment]  # for ${hydra:...}
        return whole


def plain_of(whole: DictConfig) -> Plain:
    """What bie reads of a composed configuration, ``${...}`` as written."""
    own = {str(key): node for key, node in whole.items_ex(resolve=False) if key != "hydra"}
    plain: Plain = OmegaConf.to_container(OmegaConf.create(own), resolve=False)  # type: ignore[assignment]
    return {**plain, "hydra": {"launcher": OmegaConf.to_container(whole.hydra.launcher)}}
