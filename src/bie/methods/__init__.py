"""How cells get their latent vectors: by training scVI, or, in controls, in a way that is known beforehand.

Each control is a module of this package with a function ``build(settings) -> Embedder``; its name is the
`method` of its section ``model`` of the configuration.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from bie.config import Method, Model, PenaltySection, Train
from bie.data.cells import Cells
from bie.methods.base import Embedder, Row, Rows
from bie.seeds import Streams

if TYPE_CHECKING:
    from bie.training.checkpoint import Keeper
    from bie.training.run import Fitted

Given = tuple[Rows, Rows, Streams, Callable[[Row], None]]
"""What `Embedder.fit` is given beside the cells."""


def build_embedder(
    model: Model | Method,
    penalty: tuple[str, PenaltySection] | None,
    train: Train,
    keeper: "Keeper | None" = None,
) -> Embedder:
    """Choose the embedder of a run.

    Parameters
    ----------
    model, penalty, train
        Sections of the configuration; a control reads the first alone.
    keeper
        Lets a training go on from an earlier one's state, and leaves its own.
    """
    if isinstance(model, Method):
        return _control(model)
    from bie.methods.trained import Trained

    return Trained(model, penalty, train, keeper)


def fit_all(
    embedders: Sequence[Embedder], given: Sequence[Given], cells: Cells, device: str
) -> "list[Fitted]":
    """Fit embedders, in place: a control, which comes alone, or models, which train on a device together."""
    from bie.methods.trained import Trained
    from bie.training.fit import fit
    from bie.training.run import Fitted

    each = list(zip(embedders, given, strict=True))
    models = [embedder.run(cells, *what) for embedder, what in each if isinstance(embedder, Trained)]
    if models:
        return fit(models, cells, device)
    return [Fitted(embedder.fit(cells, *what)) for embedder, what in each]


def check(control: Method, cells: Cells, n_train: int) -> None:
    """Raise `BadInput` if a control is not to be had for these cells; loads nothing heavy."""
    _control(control).check(cells, n_train)


def _control(settings: Method) -> Embedder:
    built: Embedder = import_module(f"bie.methods.{settings.method}").build(settings)
    return built
