"""Compose the configuration of a choice of groups: with Hydra, once per distinct choice."""

import functools
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import OmegaConf

from bie.config.yaml_numbers import check_numbers
from bie.errors import BadInput
from bie.store.provenance import configuration_folder

GROUPS = ("dataset", "model", "preset", "train", "study", "site", "hydra/launcher")
Plain = dict[str, Any]


class Configurations:
    """The config groups of ``conf/`` and, before them, of the user's own folder.

    Parameters
    ----------
    folder
        The ``conf/`` of bie.
    own
        A folder of the user's with the same groups (``--config-dir``); None if there is none.
    """

    def __init__(self, folder: Path, own: Path | None = None) -> None:
        self.folder, self.own = folder, own
        self._composed: dict[tuple[tuple[str, str], ...], Plain] = {}
        self._seen: set[str] = set()

    @functools.cached_property
    def groups(self) -> dict[str, list[str]]:
        """Names of the choices of each group."""
        folders = [folder for folder in (self.own, self.folder) if folder]
        return {
            group: sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
            for group in GROUPS
        }

    def compose(self, choices: Mapping[str, str]) -> Plain:
        """Plain values for a choice of groups, with the defaults for the others."""
        key = tuple(sorted(choices.items()))
        if key not in self._composed:
            self._composed[key] = self._compose(choices)
            self._seen.update(_leaves(self._composed[key]))
        return self._composed[key]

    def _compose(self, choices: Mapping[str, str]) -> Plain:
        for group, choice in choices.items():
            self._check_choice(group, choice)
        overrides = [f"{group}={choice}" for group, choice in choices.items()]
        if self.own:
            overrides.append(f"hydra.searchpath=[file://{self.own.resolve()}]")
        prefer_own_launchers()
        try:
            with initialize_config_dir(str(self.folder.resolve()), version_base="1.3"):
                config = compose("config", overrides, return_hydra_config=True)
        except HydraException as error:
            raise BadInput(f"the configuration cannot be composed: {error}") from None
        plain = {str(k): v for k, v in config.items() if k != "hydra"}
        launcher = config.hydra.launcher
        result: Plain = OmegaConf.to_container(
            OmegaConf.create({**plain, "hydra": {"launcher": launcher}}), resolve=True
        )  # type: ignore[assignment]
        return result if choices.get("preset", "none") == "none" else self._fitted(result, choices)

    def _fitted(self, plain: Plain, choices: Mapping[str, str]) -> Plain:
        """Take out what a preset sets and these choices do not have, such as a setting of other models."""
        here = set(_leaves(self.compose({**choices, "preset": "none"})))
        for key in [key for key in _leaves(plain) if key not in here]:
            if not self.acts(key):
                hint = did_you_mean(key, [*self.keys])
                raise BadInput(f"preset={choices['preset']}: {key} is not a setting.{hint}")
            *sections, leaf = key.split(".")
            functools.reduce(lambda node, name: node.get(name, {}), sections, plain).pop(leaf, None)
        return plain

    def _check_choice(self, group: str, choice: str) -> None:
        if choice not in self.groups[group]:
            hint = did_you_mean(str(choice), self.groups[group])
            among = ", ".join(self.groups[group])
            raise BadInput(f"{group}={choice}: there is no such {group}.{hint} Choices: {among}")
        if self.own and group in ("site", "hydra/launcher"):
            check_numbers(self.own / group / f"{choice}.yaml")

    def acts(self, key: str) -> bool:
        """Whether a key acts under some choice of groups; at best under one that has been composed."""
        return key in self._seen or key in self.keys

    @functools.cached_property
    def keys(self) -> set[str]:
        """Every key that acts under some choice of groups; a preset adds none."""
        groups = {group: names for group, names in self.groups.items() if group != "preset"}
        choices = [(group, choice) for group, names in groups.items() for choice in names]
        return {key for group, choice in choices for key in _leaves(self.compose({group: choice}))}

    def misplaced(self, key: str, choices: Mapping[str, str]) -> BadInput | None:
        """Error for a key that acts under another choice of its own group; None if there is none."""
        group = next((name for name in GROUPS if key.startswith(f"{name.replace('/', '.')}.")), None)
        for choice in self.groups[group] if group else ():
            if group and key in _leaves(self.compose({group: choice})):
                return BadInput(
                    f"{key} is a setting of {group}={choice}, not of {group}={self._chosen(group, choices)}"
                )
        return None

    def _chosen(self, group: str, choices: Mapping[str, str]) -> str:
        return choices.get(group) or next(
            c for c in self.groups[group] if self.compose({group: c}) == self.compose({})
        )

    def unknown(self, key: str, choices: Mapping[str, str]) -> BadInput:
        """Error for a key that acts nowhere, with the nearest names."""
        hint = did_you_mean(key, [*self.keys, *GROUPS])
        here = sorted(_leaves(self.compose(choices)))
        section = key.rpartition(".")[0]
        siblings = [name.removeprefix(f"{section}.") for name in here if name.startswith(f"{section}.")]
        if section and siblings:
            hint += f" Settings of {section}: {', '.join(siblings)}"
        names = "" if hint else f" There are: {', '.join(self._outermost)}"
        return BadInput(f"{key} is not a setting.{hint}{names}")

    @functools.cached_property
    def _outermost(self) -> list[str]:
        return sorted({name for name in self.keys if "." not in name} | set(GROUPS))


def prefer_own_launchers() -> None:
    """Let bie's files of launchers stand for those that plugins register under the same names.

    hydra-submitit-launcher registers nodes ``submitit_local`` and ``submitit_slurm`` when Hydra looks for
    plugins. Hydra takes a node as the schema of a file with its name, a match that it has deprecated, and
    bie's launchers have keys of their own. So in this process, and after the search, bie's files alone count;
    other applications of the same environment keep the plugin's.
    """
    Plugins.instance()
    launchers = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for path in (configuration_folder() / "hydra/launcher").glob("*.yaml"):
        launchers.pop(path.name, None)


def did_you_mean(name: str, names: list[str]) -> str:
    """A sentence, with a space before it, that names the nearest of `names`; empty if none is near."""
    near = get_close_matches(name, sorted(names), n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def _leaves(plain: Plain, prefix: str = "") -> Iterator[str]:
    """Dotted names of all values, sections included."""
    for key, value in plain.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
