"""What makes a function a metric: its card, and the needs that its input has to meet."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, ParamSpec

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Embedding = NDArray[np.float64]

Needs = tuple[Callable[..., str | None], ...]
P = ParamSpec("P")


@dataclass(frozen=True)
class Card:
    """What a reader has to know about a number.

    Attributes
    ----------
    label
        Name in tables and figures.
    direction
        ``"higher"`` or ``"lower"`` is better; ``"none"``: neither.
    range
        Smallest and largest value; infinite where no data-free bound exists.
    unit
        ``"nats"``, ...; empty for a pure number.
    reference
        Paper that defines it.
    headline
        Whether it is a column of the printed tables unless others are asked for.
    optional
        Whether most data sets or models cannot have it: where no run has, no table speaks of it.
    about
        What it is; empty where a function has the card, whose docstring says it.
    """

    label: str
    direction: Literal["higher", "lower", "none"]
    range: tuple[float, float]
    unit: str
    reference: str
    headline: bool = False
    optional: bool = False
    about: str = ""


@dataclass
class Metric(Generic[P]):
    """A pure function of arrays with its card; called as the function itself.

    Its parameters are named after the attributes of `bie.metrics.part.Part`, which fills them in.
    """

    function: Callable[P, float]
    card: Card
    needs: Needs
    caveats: Needs

    def __post_init__(self) -> None:
        functools.update_wrapper(self, self.function)  # its name, docstring and signature

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> float:
        """Compute the metric."""
        return self.function(*args, **kwargs)


def metric(
    card: Card, *needs: Callable[..., str | None], caveats: Needs = ()
) -> Callable[[Callable[P, float]], Metric[P]]:
    """Declare a function as a metric.

    Parameters
    ----------
    card
        What the tables say about it.
    needs
        Functions of the same arrays, asked in this order, that return why the metric cannot be computed
        (it is then reported as missing, with this reason) or None.
    caveats
        Functions of the same kind that return what a reader of the value has to know (the record notes it),
        or None.
    """

    def declare(function: Callable[P, float]) -> Metric[P]:
        return Metric(function, card, needs, caveats)

    return declare


def call_by_name(function: Callable[..., Any], source: object) -> Any:
    """Call `function`, each parameter without a default taken from the attribute of `source` of its name."""
    parameters = inspect.signature(function).parameters.values()
    return function(**{p.name: getattr(source, p.name) for p in parameters if p.default is p.empty})
