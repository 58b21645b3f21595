"""Values of dotted keys in the plain sections of a configuration."""

from typing import Any

from omegaconf import OmegaConf

from bie.errors import BadInput
from bie.planning.compose import Plain

OPEN = ("site.environment", "hydra.launcher.additional_parameters")
"""Sections of any keys: variables, options of sbatch."""


def assign(plain: Plain, key: str, value: Any) -> bool:
    """Set an existing dotted key; False where there is none."""
    *sections, leaf = key.split(".")
    node: Any = plain
    for section in sections:
        node = node.get(section) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node:
        return False
    if isinstance(node[leaf], dict):
        if not isinstance(value, dict):
            raise BadInput(f"{key}={value}: {key} is a section; its settings: {', '.join(node[leaf])}")
        return all(assign(node[leaf], str(inner), item) for inner, item in value.items())
    node[leaf] = _interpolated(plain, value)
    return True


def extend(plain: Plain, key: str, value: Any) -> bool:
    """Set an entry of a section that is open to any, or all of them; False where `key` is none of it."""
    for name in OPEN:
        *sections, leaf = name.split(".")
        node = lookup(plain, ".".join(sections))
        if not isinstance(node, dict) or leaf not in node:
            continue
        if key == name and isinstance(value, dict):
            node[leaf] = value
            return True
        if key.startswith(f"{name}."):
            node[leaf] = {**node[leaf], key.removeprefix(f"{name}."): _interpolated(plain, value)}
            return True
    return False


def _interpolated(plain: Plain, value: Any) -> Any:
    """Resolve ``${...}`` of OmegaConf, such as ``${oc.env:SCRATCH}``."""
    if isinstance(value, str) and "${" in value:
        return OmegaConf.create({**plain, "_": value})["_"]
    return value


def lookup(plain: Plain, key: str) -> Any:
    """Value of a dotted key; None where there is none."""
    node: Any = plain
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node
