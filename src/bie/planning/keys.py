"""Dotted keys: their values in plain sections, the ``${...}`` among these, what is wrong with them."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bie.errors import BadInput
from bie.planning.grammar import Axis

Plain = dict[str, Any]

OF_2019 = {
    "n_latent_z": "mine.n_hidden",  # the width of the critic, in the notebook
    "n_hidden_z": "mine.n_hidden",
    "n_layers_z": "mine.n_layers",
    "mineloss_scale": "mine.scale",
}
"""Names of the 2019 study, in small letters, by the keys that they have here."""

OPEN = ("site.environment", "hydra.launcher.additional_parameters")
"""Sections of any keys: variables, options of sbatch."""
UNRESOLVED = "study.sweep"
"""Overrides, which are resolved where they are applied."""

OF_A_CHOICE = {
    "model.name": "model",
    "model.method": "model",
    "dataset.source": "dataset",
    "perturb.kind": "perturb",
}
"""Keys by which the file of a choice says what it is, and the group: another value would be another row's."""

_REFUSALS = (
    *(HydraException, OmegaConfBaseException, YAMLError),
    *(ValueError, TypeError, ImportError, RuntimeError),  # what Hydra raises unwrapped, of plugins above all
)


@contextlib.contextmanager
def as_bad_input(what: str) -> Iterator[None]:
    """Make bad input of what Hydra, OmegaConf and YAML raise over a configuration, in one line."""
    try:
        yield
    except BadInput:
        raise
    except _REFUSALS as error:
        cause = f" {error.__cause__}" if isinstance(error.__cause__, OmegaConfBaseException) else ""
        said = " ".join(f"{error}{cause}".split())
        raise BadInput(f"{what}: the configuration cannot be composed: {said}") from None


def did_you_mean(name: str, names: list[str]) -> str:
    """A sentence, with a space before it, that names the nearest of `names`; empty if none is near.

    >>> did_you_mean("model.scVI", ["model.scvi", "model.scvi_mine"])
    ' Did you mean model.scvi?'
    """
    known = OF_2019.get(name.rpartition(".")[2].lower())
    if known:
        return f" Did you mean {known}?"
    small = {each.lower(): each for each in sorted(names, reverse=True)}
    near = get_close_matches(name.lower(), sorted(small), n=1, cutoff=0.6)
    return f" Did you mean {small[near[0]]}?" if near else ""


def dotted(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All values by their dotted names, sections included.

    >>> dotted({"mine": {"scale": 10.0}})
    {'mine': {'scale': 10.0}, 'mine.scale': 10.0}
    """
    found: dict[str, Any] = {}
    for name, value in plain.items():
        found[f"{prefix}{name}"] = value
        if isinstance(value, dict):
            found |= dotted(value, f"{prefix}{name}.")
    return found


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


def references(plain: Plain) -> dict[str, Any]:
    """Values that hold ``${...}``, by their dotted keys."""
    return {
        key: value
        for key, value in dotted(plain).items()
        if isinstance(value, str | list) and "${" in str(value) and key != UNRESOLVED
    }


def resolve(plain: Plain, whole: DictConfig) -> None:
    """Put values in the place of ``${...}``, those of this very configuration: `plain` is changed in place.

    It is finished but for this, in whole or in some of its sections; `whole` has Hydra's own tree too.

    Raises
    ------
    BadInput
        A reference to what is not there, such as a variable that is not set.
    """
    for key, value in references(plain).items():
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
        did_you_mean(parts[1], list(dotted(plain))) if "Interpolation key" in said and len(parts) > 1 else ""
    )


def refuse_what_choices_say(axes: Iterable[Axis], choices: Mapping[str, Sequence[str]]) -> None:
    """Refuse keys of `OF_A_CHOICE`: tables would call a model by another one's name.

    Parameters
    ----------
    choices
        Of each group, for the remedy.

    Raises
    ------
    BadInput
        There is one; says what to type.
    """
    for axis in axes:
        for key, value in zip(axis.keys, axis.values[0], strict=True):
            group = OF_A_CHOICE.get(key)
            if group is None:
                continue
            said = f"{key}={value} cannot be typed, as the choice of a {group} brings it"
            if value in choices[group]:
                raise BadInput(f"{said}: {group}={value}")
            own = f" A name of your own is a file DIR/{group}/NAME.yaml: --config-dir DIR {group}=NAME."
            own = own if key.endswith(".name") else ""
            raise BadInput(f"{said}: {group}=CHOICE.{own} Choices: {', '.join(choices[group])}")
