"""How metrics are headed in tables, figures and sentences: label, direction and unit of their cards."""

from bie.metrics.cards import CARDS

_ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}


def label(metric: str) -> str:
    """Name of a metric for people; its name in files where it has no card."""
    return CARDS[metric].label if metric in CARDS else metric


def unit(metric: str) -> str:
    """Unit of a metric; empty where it has none."""
    return CARDS[metric].unit if metric in CARDS else ""


def heading(metric: str) -> str:
    """Label with the direction that is better.

    >>> heading("ari"), heading("probe_f1")
    ('ARI ↑', 'probe F1 ↓')
    """
    return label(metric) + (_ARROWS[CARDS[metric].direction] if metric in CARDS else "")


def with_unit(metric: str) -> str:
    """The same for an axis, with the unit."""
    return heading(metric) + (f" ({unit(metric)})" if unit(metric) else "")
