"""How cells get their latent vectors: by training scVI, or, in controls, in a way that is known beforehand.

Each control is a module of this package with a function ``build(settings) -> Embedder``; its name is the
`method` of its section ``model`` of the configuration.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from bie.config import Method, Model, PenaltySection, Train
from bie.data.cells import Cells
from bie.methods.base import Embedder, Row, Rows
from bie.seeds import Streams

if TYPE_CHECKING:
    from bie.training.checkpoint import CheckpointHook
    from bie.training.run import Fitted


class FitInputs(NamedTuple):
    """Arguments of `Embedder.fit` beside the cells; see there."""

    train: Rows
    test: Rows
    streams: Streams
    on_epoch: Callable[[Row], None]


def build_embedder(
    model: Model | Method,
    penalty: tuple[str, PenaltySection] | None,
    train: Train,
    hook: "CheckpointHook | None" = None,
) -> Embedder:
    """Choose the embedder of a run.

    Parameters
    ----------
    model, penalty, train
        Sections of the configuration; a control reads the first alone.
    hook
        Where a training finds a checkpoint to go on from, and leaves its own.
    """
    if isinstance(model, Method):
        return _control(model)
    from bie.methods.trained import Trained

    return Trained(model, penalty, train, hook)


def fit_all(
    embedders: Sequence[Embedder], inputs: Sequence[FitInputs], cells: Cells, device: str
) -> "list[Fitted]":
    """Fit embedders, in place: one control, or models, which train on a device together.

    Parameters
    ----------
    embedders, inputs
        Of equal length: of each the arguments of its `Embedder.fit` beside the cells.
    cells, device
        The data, and where models train.
    """
    from bie.methods.trained import Trained
    from bie.training.fit import fit
    from bie.training.run import Fitted

    pairs = list(zip(embedders, inputs, strict=True))
    models = [embedder.run(cells, *its) for embedder, its in pairs if isinstance(embedder, Trained)]
    if models:
        return fit(models, cells, device)
    return [Fitted(embedder.fit(cells, *its)) for embedder, its in pairs]


def check(control: Method, cells: Cells, n_train: int) -> None:
    """Raise `BadInput` if a control is not to be had for these cells; loads nothing heavy."""
    _control(control).check(cells, n_train)


def _control(settings: Method) -> Embedder:
    built: Embedder = import_module(f"bie.methods.{settings.method}").build(settings)
    return built
