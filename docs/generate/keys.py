"""The page of all keys, from the schema (types, ranges) and from ``conf/`` (defaults, what they mean)."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import yaml

from bie.config import RunConfig, Settings
from bie.planning.compose import GROUPS, Configurations
from bie.schema import Section
from bie.store.provenance import configuration_folder
from docs.generate.types_in_words import in_words

Schema = type[Any]

_ABOUT = """\
# Every key

Each key can be set (`KEY=VALUE`) with `bie run` and `bie plan`, and with `-m` swept. `bie run --cfg job`
prints the values of a command. This page is made from the schema and from `conf/` when the site is built.
"""

_ABOUT_GROUPS = {
    "dataset": "Which cells.",
    "perturb": "What is done to the cells of one batch on purpose.",
    "model": "What makes the latent vectors.",
    "metrics": "How they are scored.",
    "hydra/launcher": "How runs are carried out.",
}
_ELSEWHERE = ("preset", "train", "study", "site", "hydra/callbacks")
"""Groups whose files set keys of other sections, or whose choices all have the same keys."""

_CONF = configuration_folder()
_DEFAULTS = {"dataset": "zinb", "model": "scvi", "metrics": "default", "hydra/launcher": "submitit_slurm"}
"""Choices whose files say most about the keys that others share with them."""


class Key(NamedTuple):
    """A row of a table."""

    name: str
    type: str
    default: str
    meaning: str


def page() -> str:
    """The whole page, in Markdown."""
    configurations = Configurations(_CONF)
    return "\n".join([_ABOUT, *_root(configurations), *_groups(configurations), *_site(configurations)])


def _root(configurations: Configurations) -> Iterator[str]:
    """What is in ``config.yaml`` itself, stage by stage."""
    chosen = tuple(f"{group.replace('/', '.')}." for group in (*_own_keys(), "site"))
    rows = [key for key in keys(configurations) if not key.name.startswith(chosen)]
    for title, schema in (("A run: split, training, seeds", RunConfig), ("A launch: where, how", Settings)):
        yield from _table(title, [key for key in rows if key.name.split(".")[0] in schema.model_fields])


def _own_keys() -> list[str]:
    """Groups whose choices have keys of their own."""
    return [group for group in GROUPS if group not in _ELSEWHERE]


def _groups(configurations: Configurations) -> Iterator[str]:
    for group in _own_keys():
        yield f"\n## `{group}`\n\n{_ABOUT_GROUPS.get(group, '')}\n"
        for path in sorted((_CONF / group).glob("*.yaml")):
            yield from _choice(configurations, group, path)


def _choice(configurations: Configurations, group: str, path: Path) -> Iterator[str]:
    """Keys that a choice has and the one that it builds on has not."""
    section = group.replace("/", ".")
    file = yaml.safe_load(path.read_text())
    extends = [name for name in file.get("defaults", []) if name != "_self_"]
    added = [name for name in file if name not in ("defaults", section)]
    prefixes = tuple(f"{name}." for name in ([section] if not (extends and added) else added))
    rows = [key for key in keys(configurations, **{group: path.stem}) if key.name.startswith(prefixes)]
    besides = f" The keys of `{group}={extends[0]}` besides." if extends and added else ""
    yield from _table(f"`{group}={path.stem}`", rows, 3, _heading(path) + besides)


def _site(configurations: Configurations) -> Iterator[str]:
    about = "What tasks need on one cluster: [from a laptop to a cluster](slurm.md)."
    yield from _table(
        "`site`", [key for key in keys(configurations) if key.name.startswith("site.")], 2, about
    )


def keys(configurations: Configurations, **choices: str) -> list[Key]:
    """Every key under a choice of groups that has more than one value."""
    plain, said = configurations.composed(choices).plain, comments(choices)
    found = [*_walk(RunConfig, plain, ""), *_walk(Settings, plain, "")]
    return [key._replace(meaning=_said(said, key.name)) for key in found]


def _said(said: dict[str, str], name: str) -> str:
    """What the files say of a key, or of the keys that it is one of."""
    return said.get(name, "") or said.get(name.rpartition(".")[0], "")


def _walk(schema: Schema, plain: dict[str, Any], prefix: str) -> Iterator[Key]:
    hints = _hints(schema)
    for name in _names(schema):
        if name not in plain or name.startswith("_"):
            continue
        value, annotation = plain[name], hints[name]
        inner = _section(annotation, value) if isinstance(value, dict) else None
        if inner:
            yield from _walk(inner, value, f"{prefix}{name}.")
        elif isinstance(value, dict) and value:  # such as the margins, one for each metric
            of_each = in_words(get_args(annotation)[1])
            yield from (
                Key(f"{prefix}{name}.{key}", of_each, _shown(each), "") for key, each in value.items()
            )
        elif not (get_origin(annotation) is Literal and len(get_args(annotation)) == 1):
            yield Key(f"{prefix}{name}", in_words(annotation), _shown(value), "")


def _hints(schema: Schema) -> dict[str, Any]:
    return get_type_hints(schema, include_extras=True)


def _names(schema: Schema) -> list[str]:
    if dataclasses.is_dataclass(schema):
        return [field.name for field in dataclasses.fields(schema)]
    return list(schema.model_fields)


def _section(annotation: Any, plain: dict[str, Any]) -> Schema | None:
    """The class among those of an annotation that some plain values are of."""
    if isinstance(annotation, type) and (
        issubclass(annotation, Section) or dataclasses.is_dataclass(annotation)
    ):
        return annotation if _fits(annotation, plain) else None
    found = (_section(part, plain) for part in get_args(annotation))
    return next((schema for schema in found if schema), None)


def _fits(schema: Schema, plain: dict[str, Any]) -> bool:
    """Whether all keys are the schema's, and the values of those that tell sections apart are too."""
    if dataclasses.is_dataclass(schema):
        marks = {f.name: f.default for f in dataclasses.fields(schema) if f.name == "_target_"}
    else:
        choices = {name: get_args(hint) for name, hint in _hints(schema).items() if _is_literal(hint)}
        marks = {name: values[0] for name, values in choices.items() if len(values) == 1}
    return set(plain) <= set(_names(schema)) and all(plain.get(name) == mark for name, mark in marks.items())


def _is_literal(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _shown(value: Any) -> str:
    if value == "???":
        return "to be given"
    if isinstance(value, str) and "${" in value:
        return f"that of `{value.strip('${}')}`"
    return (
        "`"
        + ("null" if value is None else str(value).lower() if isinstance(value, bool) else str(value))
        + "`"
    )


def comments(choices: dict[str, str]) -> dict[str, str]:
    """What the files say about each key, at the end of its line.

    Those of a choice have the last word. Before them stand those of the defaults, as sections of one group
    share keys, and for a launcher those of the site, whose keys it repeats.
    """
    said = dict(_comments(_CONF / "config.yaml", ""))
    site = dict(_comments(_CONF / "site/none.yaml", "site."))
    said |= site | {f"hydra.launcher.{key.removeprefix('site.')}": text for key, text in site.items()}
    for group, choice in [*_DEFAULTS.items(), *choices.items()]:
        said |= dict(_comments(_CONF / group / f"{choice}.yaml", f"{group.replace('/', '.')}."))
    return said


def _comments(path: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Of a file, after those of the files beside it that it builds on."""
    text = path.read_text()
    for name in (yaml.safe_load(text) or {}).get("defaults", []):
        if isinstance(name, str) and name != "_self_":
            yield from _comments(path.with_name(f"{name}.yaml"), prefix)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node:
        yield from _of_node(node, "" if "@package _global_" in text else prefix, text.splitlines())


def _of_node(node: yaml.Node, prefix: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        rest = lines[key.end_mark.line][(value if _on_one_line(key, value) else key).end_mark.column :]
        if found := re.match(r":?\s*# (.*)", rest):
            yield name, found[1]
        yield from _of_node(value, f"{name}.", lines)


def _on_one_line(key: yaml.Node, value: yaml.Node) -> bool:
    return bool(key.end_mark.line == value.end_mark.line)


def _heading(path: Path) -> str:
    """The comment that a file begins with."""
    first = itertools.takewhile(lambda line: line.startswith("# "), path.read_text().splitlines())
    return " ".join(line[2:] for line in first if not line.startswith("# @package"))


def _table(title: str, rows: list[Key], level: int = 2, about: str = "") -> Iterator[str]:
    yield f"\n{'#' * level} {title}\n"
    if about:
        yield f"{_escaped(about)}\n"
    if rows:
        yield "| key | type and range | default | meaning |\n| --- | --- | --- | --- |"
        yield from (
            f"| `{row.name}` | {row.type} | {row.default} | {_escaped(row.meaning)} |" for row in rows
        )


def _escaped(text: str) -> str:
    """Text of a comment as Markdown: no cell ends early, nothing is taken for a tag or emphasis."""
    for mark in ("|", "<", "*", "_"):
        text = text.replace(mark, f"\\{mark}")
    return text
