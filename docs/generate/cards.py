"""The page of all metrics, from their cards and docstrings."""

import inspect
import math
import re
from collections.abc import Iterator
from itertools import takewhile

from bie.metrics.cards import CARDS, METRICS
from bie.metrics.metric import Card

_ABOUT = """\
# Every metric

A record has each of them for training and for test cells; one that cannot be computed is null, with the
reason (`missing`), never 0. In bold: columns of the printed tables unless others are asked for
(`bie aggregate --metrics`). This page is made from the cards in `src/bie/metrics` when the site is built.

| name | in tables | better | range | unit |
| --- | --- | --- | --- | --- |"""

_BETTER = {"higher": "higher ↑", "lower": "lower ↓", "none": "neither"}


def page() -> str:
    """The whole page, in Markdown."""
    rows = (_row(name, card) for name, card in CARDS.items())
    return "\n".join([_ABOUT, *rows, "", *(line for name in CARDS for line in _card(name))])


def _row(name: str, card: Card) -> str:
    label = f"**{card.label}**" if card.headline else card.label
    return f"| [`{name}`](#{name}) | {label} | {_BETTER[card.direction]} | {_range(card)} | {card.unit} |"


def _range(card: Card) -> str:
    low, high = (_number(bound) for bound in card.range)
    return "any" if (low, high) == ("-∞", "∞") else f"{low} to {high}"


def _number(bound: float) -> str:
    return ("∞" if bound > 0 else "-∞") if math.isinf(bound) else f"{bound:g}"


def _card(name: str) -> Iterator[str]:
    card = CARDS[name]
    yield f"## {card.label} {{ #{name} }}\n"
    yield f"{_said((name in METRICS and METRICS[name].__doc__) or card.about)}\n"
    unit = f" {card.unit}" if card.unit else ""
    doi = re.sub(r"doi:(\S+)", r"[doi:\1](https://doi.org/\1)", card.reference)
    yield f"`{name}` · {_BETTER[card.direction]} · {_range(card)}{unit} · {doi}\n"


def _said(docstring: str) -> str:
    """What stands before the parameters of a docstring, as Markdown."""
    lines = inspect.cleandoc(docstring).splitlines()
    before = takewhile(lambda line: line not in ("Parameters", "Returns", "Notes"), lines)
    text = "\n".join(before).strip().replace("``", "`")
    return re.sub(r"(?<!`)`([a-z_]+)`(?!`)", _link, text)


def _link(found: re.Match[str]) -> str:
    """The name of another metric, as a link to it."""
    return f"[`{found[1]}`](#{found[1]})" if found[1] in CARDS else found[0]
