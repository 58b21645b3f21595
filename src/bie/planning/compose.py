"""Compose the configuration of a choice of groups: with Hydra, once per distinct choice."""

import contextlib
import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ConfigDefault, InputDefault
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from bie.config import Settings
from bie.config.launchers import complete
from bie.errors import BadInput
from bie.planning.keys import Plain, as_bad_input, did_you_mean, dotted
from bie.planning.loader import loader_over

GROUPS = (
    *("dataset", "perturb", "model", "metrics", "preset", "train"),
    *("study", "site", "hydra/launcher", "hydra/callbacks"),
)
WITHOUT_KEYS = ("preset", "hydra/callbacks")
"""Groups that bring no keys of their own: published settings of others, and what Hydra calls itself."""
SETTINGS = tuple(Settings.model_fields)
"""Root keys of the launch; the others are those of a run."""


class Composed:
    """What a choice of groups composes to."""

    def __init__(self, whole: DictConfig) -> None:
        self.whole = whole  # as Hydra has it, its own tree included
        self.plain = plain_of(whole)
        self.chosen: dict[str, str] = dict(whole.hydra.runtime.choices)  # of each group, by default or not

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


class Configurations:
    """The config groups of ``conf/`` and, before them, of the user's `own` folder (``--config-dir``).

    `name` is the file to begin with (``--config-name``), `searched` an override ``hydra.searchpath=[...]``,
    which names further folders.

    Raises
    ------
    BadInput
        There is no folder `own`.
    """

    def __init__(
        self, folder: Path, own: Path | None = None, name: str = "config", searched: tuple[str, ...] = ()
    ) -> None:
        if own is not None and not own.is_dir():
            raise BadInput(f"--config-dir {own}: there is no such folder")
        self.folder, self.own, self.name, self.searched = folder, own, name, searched
        self._composed: dict[tuple[tuple[str, str], ...], Composed] = {}
        self._seen: dict[str, dict[str, str]] = {}

    @functools.cached_property
    def loader(self) -> ConfigLoaderImpl:
        """Hydra's loader over these folders."""
        return loader_over(self.folder, self.own)

    @functools.cached_property
    def groups(self) -> dict[str, list[str]]:
        """Names of the choices of each group."""
        ask = functools.partial(
            self.loader.get_group_options, config_name=self.name, overrides=list(self.searched)
        )
        with as_bad_input(self.name):
            return {group: sorted(set(ask(group))) for group in GROUPS}

    def composed(self, choices: Mapping[str, str]) -> Composed:
        """The configuration for a choice of groups, with the defaults for the others."""
        key = tuple(sorted(choices.items()))
        if key not in self._composed:
            self._composed[key] = self._compose(choices)
            for name in dotted(self._composed[key].plain):
                self._seen.setdefault(name, dict(choices))
        return self._composed[key]

    def _compose(self, choices: Mapping[str, str]) -> Composed:
        for group, choice in choices.items():
            self._check_choice(group, choice)
        overrides = [f"{group}={choice}" for group, choice in choices.items()]
        with as_bad_input(" ".join(overrides) or self.name):
            whole = self.loader.load_configuration(
                self.name, [*self.searched, *overrides], RunMode.RUN, from_shell=False
            )
            with open_dict(whole.hydra.launcher):
                complete(whole.hydra.launcher)
            if choices.get("preset", "none") != "none":
                self._fit(whole, choices)
            return Composed(whole)

    def _fit(self, whole: DictConfig, choices: Mapping[str, str]) -> None:
        """Take out what a preset sets and these choices do not have, such as a setting of other models."""
        here = dotted(self.composed({**choices, "preset": "none"}).plain)
        for key in [key for key in dotted(plain_of(whole)) if key not in here]:
            if self.acts_under(key) is None:
                hint = did_you_mean(key, [*self.keys])
                raise BadInput(f"preset={choices['preset']}: {key} is not a setting.{hint}")
            section, _, leaf = key.rpartition(".")
            node = OmegaConf.select(whole, section) if section else whole
            if node is not None:
                with open_dict(node):
                    node.pop(leaf, None)

    def _check_choice(self, group: str, choice: str) -> None:
        if choice not in self.groups[group]:
            hint = did_you_mean(str(choice), self.groups[group])
            among = ", ".join(self.groups[group])
            raise BadInput(f"{group}={choice}: there is no such {group}.{hint} Choices: {among}")

    def acts_under(self, key: str) -> dict[str, str] | None:
        """A choice of groups under which a key acts, at best one that has been composed; None if none is."""
        return self._seen[key] if key in self._seen else self.keys.get(key)

    @functools.cached_property
    def keys(self) -> dict[str, dict[str, str]]:
        """Every key that acts under some choice of groups, with that choice; `WITHOUT_KEYS` add none.

        A file that cannot be read, such as one of the user's own that nobody asked for, adds none either.
        """
        found: dict[str, dict[str, str]] = {key: {} for key in dotted(self.composed({}).plain)}
        for group in (group for group in GROUPS if group not in WITHOUT_KEYS):
            for choice in self.groups[group]:
                with contextlib.suppress(BadInput):
                    for key in self._keys_under(group, choice):
                        found.setdefault(key, {group: choice})
        return found

    def _keys_under(self, group: str, choice: str) -> set[str]:
        """Keys that a choice brings, by its file and those of its group that this one extends.

        To compose every choice takes ten seconds, these files half of one. What is more than such a file is
        composed, and so are launchers, which bie completes.
        """
        with as_bad_input(f"{group}={choice}"):
            file = self.loader.repository.load_config(f"{group}/{choice}")
        extended = [_sibling(default) for default in (file and file.defaults_list) or ()]
        package = (file and file.header["package"]) or group.replace("/", ".")
        if group == "hydra/launcher" or not file or None in extended or package.startswith("_group_"):
            return set(dotted(self.composed({group: choice}).plain))
        prefix = "" if package == "_global_" else f"{package}."
        own = OmegaConf.to_container(file.config, resolve=False)
        found = set(dotted(cast("Plain", own), prefix)) if isinstance(own, dict) else set()
        return found.union(*(self._keys_under(group, each) for each in extended if each and each != "_self_"))

    def misplaced(self, key: str, choices: Mapping[str, str]) -> BadInput | None:
        """Error for a key that acts under another choice of its own group; None if there is none."""
        group = next((name for name in GROUPS if key.startswith(f"{name.replace('/', '.')}.")), None)
        for choice in self.groups[group] if group and key in self.keys else ():
            with contextlib.suppress(BadInput):  # of a file that nobody asked for
                if group and key in self._keys_under(group, choice):
                    chosen = self.composed(choices).chosen[group]
                    return BadInput(f"{key} is a setting of {group}={choice}, not of {group}={chosen}")
        return None

    def unknown(self, key: str, choices: Mapping[str, str]) -> BadInput:
        """Error for a key that acts nowhere, with the nearest names."""
        hint = did_you_mean(key, [*self.keys, *GROUPS])
        here = sorted(dotted(self.composed(choices).plain))
        section = key.rpartition(".")[0]
        siblings = [name.removeprefix(f"{section}.") for name in here if name.startswith(f"{section}.")]
        if section and siblings:
            hint += f" Settings of {section}: {', '.join(siblings)}"
        outermost = sorted({name for name in self.keys if "." not in name} | set(GROUPS))
        names = "" if hint else f" There are: {', '.join(outermost)}"
        return BadInput(f"{key} is not a setting.{hint}{names}")


def _sibling(default: InputDefault) -> str | None:
    """The choice of the same group that an entry of a defaults list names; None if it is another thing."""
    if not isinstance(default, ConfigDefault) or default.package is not None:
        return None
    return default.path if default.path and "/" not in default.path else None
