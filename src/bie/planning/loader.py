"""Hydra's loader of config groups: each file is read once, and bie's launchers hide those of plugins."""

import copy
from pathlib import Path

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.plugins.config_source import ConfigResult

from bie.config.yaml_numbers import check_numbers
from bie.store.provenance import configuration_folder


def loader_over(folder: Path, own: Path | None) -> ConfigLoaderImpl:
    """Hydra's loader over a folder with config groups and, before it, one of the user's own."""
    _prefer_own_launchers()
    version = ".".join(hydra.__version__.split(".")[:2])
    if hydra.version.getbase() != version:  # 1.3 needs to be told, 1.4 warns when it is
        hydra.version.setbase(version)
    setup_globals()
    path = create_config_search_path(f"file://{folder.resolve()}")
    if own:
        address = f"file://{own.resolve()}"
        path.prepend("command-line", address, SearchPathQuery(provider="schema", path=None))
    loader = ConfigLoaderImpl(path)
    loader.repository = _ReadOnce(path)
    return loader


def _prefer_own_launchers() -> None:
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


class _ReadOnce(ConfigRepository):
    """Files of a search path, each read once: Hydra reads them for every choice, a third of its work."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        self._read: dict[str, ConfigResult | None] = {}
        super().__init__(config_search_path)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look elsewhere, and read anew."""
        super().initialize_sources(config_search_path)
        self._read = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What a file holds, for the caller to change; numbers of sites and launchers are as written.

        Raises
        ------
        BadInput
            One is another number to YAML.
        """
        if config_path not in self._read:
            found = super().load_config(config_path)
            if found and config_path.startswith(("site/", "hydra/launcher/")):
                check_numbers(Path(found.path.removeprefix("file://")) / f"{config_path}.yaml")
            self._read[config_path] = found
        return copy.deepcopy(self._read[config_path])

    def __deepcopy__(self, memo: dict[int, object]) -> "_ReadOnce":
        """Copy it as Hydra does for each choice, which may look elsewhere then; what was read is shared."""
        return copy.copy(self)
