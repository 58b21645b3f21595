"""Numbers in a YAML file that are not what their author wrote."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from bie.errors import BadInput

_MISREAD = re.compile(
    r"[-+]?(?:\d+(?::\d+)+(?:\.\d*)?|0[0-7_]+|0[xXoObB][\da-fA-F_]+|\d[\d.]*[eE][-+]?\d+|\d+(?:_\d+)+)"
)
"""Clock times (base 60), leading zeros (base 8), other bases, exponents, underscores: without quotes."""


def check_numbers(path: Path) -> None:
    """Refuse a file of a site or a launcher with text that YAML takes for another number.

    Raises
    ------
    BadInput
        It has ``2:00:00``, which is 7200 to YAML, ``00123`` (83), ``12e3`` (12000) and the like.
    """
    try:
        root = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError):
        return  # whoever reads the file says so
    if found := list(_misread(root, "")):
        raise BadInput("\n".join(f"{path}: {each}" for each in found))


def _misread(node: yaml.Node | None, key: str) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _misread(value, f"{key}.{name.value}" if key else str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _misread(value, key)
    elif isinstance(node, yaml.ScalarNode) and node.style is None and _MISREAD.fullmatch(node.value):
        read = yaml.safe_load(_as_omegaconf(node.value))
        yield f'{key}: {node.value} is {read} to YAML. Put it in quotes: {key}: "{node.value}"'


def _as_omegaconf(text: str) -> str:
    """The same number in words that PyYAML takes as OmegaConf does: ``12e3`` is a number to it."""
    return str(float(text)) if "e" in text.lower() and not text.lower().startswith("0x") else text
