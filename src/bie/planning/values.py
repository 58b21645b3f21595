"""Values of dotted keys in the plain sections of a configuration, and the ``${...}`` among them."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bie.errors import BadInput
from bie.planning.compose import Plain, did_you_mean

OPEN = ("site.environment", "hydra.launcher.additional_parameters")
"""Sections of any keys: variables, options of sbatch."""
UNRESOLVED = "study.sweep"
"""Overrides, which are resolved where they are applied."""


def copied(plain: Plain) -> Plain:
    """Copy of nested sections; lists are shared, as nobody changes them."""
    return {key: copied(value) if isinstance(value, dict) else value for key, value in plain.items()}


def assign(plain: Plain, key: str, value: Any) -> bool:
    """Set an existing dotted key, or an entry of a section that is open to any; False where there is none."""
    name = next((name for name in OPEN if key == name or key.startswith(f"{name}.")), None)
    *sections, leaf = (name or key).split(".")
    node = lookup(plain, ".".join(sections)) if sections else plain
    if not isinstance(node, dict) or leaf not in node:
        return False
    if name and key != name:
        value = {key.removeprefix(f"{name}."): value}
    if name and isinstance(value, dict):
        node[leaf] = {**(node[leaf] or {}), **value}
        return True
    if isinstance(node[leaf], dict):
        if not isinstance(value, dict):
            raise BadInput(f"{key}={value}: {key} is a section; its settings: {', '.join(node[leaf])}")
        return all(assign(plain, f"{key}.{inner}", item) for inner, item in value.items())
    node[leaf] = value
    return True


def lookup(plain: Plain, key: str) -> Any:
    """Value of a dotted key; None where there is none."""
    node: Any = plain
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def references(plain: Plain, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys whose values hold ``${...}``, with these values."""
    for name, value in plain.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from references(value, f"{key}.")
        elif isinstance(value, str | list) and "${" in str(value) and key != UNRESOLVED:
            yield key, value


def resolve(plain: Plain, whole: DictConfig) -> None:
    """Put values in the place of ``${...}``, those of this very configuration.

    Parameters
    ----------
    plain
        Finished but for this, in whole or in some of its sections; changed in place.
    whole
        The same with Hydra's own tree.

    Raises
    ------
    BadInput
        A reference to what is not there, such as a variable that is not set.
    """
    for key, value in list(references(plain)):
        try:
            found = OmegaConf.select(whole, key, throw_on_resolution_failure=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise BadInput(f"{key}={value}: {_reason(error)}.{_hint(str(error), plain)}") from None
        *sections, leaf = key.split(".")
        node = lookup(plain, ".".join(sections)) if sections else plain
        node[leaf] = OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found


def _reason(error: Exception) -> str:
    """What OmegaConf says, without the class of the exception."""
    return str(error).splitlines()[0].rpartition("resolving interpolation: ")[2].strip("\"'")


def _hint(said: str, plain: Plain) -> str:
    """The nearest key to one that OmegaConf has not found."""
    parts = said.split("'")
    return (
        did_you_mean(parts[1], list(_keys(plain))) if "Interpolation key" in said and len(parts) > 1 else ""
    )


def _keys(plain: Plain, prefix: str = "") -> Iterator[str]:
    for name, value in plain.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")
