"""Which keys have no effect in a configuration, and what makes them inactive."""

from collections.abc import Mapping, Sequence
from typing import Any

from bie.config import RunConfig
from bie.planning.compose import GROUPS, Composed
from bie.schema import Section


def without_owner(key: str, composed: Composed) -> str:
    """The choice that has no such key: that of the key's own group, or else the model."""
    section = key.split(".")[0]
    group = section if section in GROUPS else "model"
    return f"{group}={composed.whole.hydra.runtime.choices[group]}"


def inactive_keys(config: RunConfig, keys: Mapping[str, Any]) -> dict[str, str]:
    """Given keys that have no effect under other settings, such as another mode's, and that setting."""
    found = {key: _cause(config, key.split(".")) for key in keys}
    return {key: cause for key, cause in found.items() if cause}


def _cause(config: RunConfig, names: Sequence[str]) -> str | None:
    """What makes a key or one of the sections around it inactive, the outermost first."""
    for depth, name in enumerate(names):
        node = _section(config, names[:depth])
        cause = node.inactive().get(name) if node else None
        if cause:
            return ".".join([*names[:depth], cause])
    return None


def _section(config: Section, names: Sequence[str]) -> Section | None:
    for name in names:
        config = getattr(config, name, None)  # type: ignore[assignment]
    return config if isinstance(config, Section) else None
