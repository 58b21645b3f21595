"""How cells get their latent vectors: by training scVI, or, in controls, in a way that is known beforehand.

Each control is a module of this package with a function ``build(settings) -> Embedder``; its name is the
`method` of its section ``model`` of the configuration.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bie.config import Method, Model, Train
from bie.data.cells import Cells
from bie.methods.base import Embedder
from bie.schema import Section

if TYPE_CHECKING:
    from bie.training.checkpoint import Keeper


def build_embedder(
    model: Model | Method, penalty: tuple[str, Section] | None, train: Train, keeper: "Keeper | None" = None
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


def check(control: Method, cells: Cells, n_train: int) -> None:
    """Raise `BadInput` if a control is not to be had for these cells; loads nothing heavy."""
    _control(control).check(cells, n_train)


def _control(settings: Method) -> Embedder:
    built: Embedder = import_module(f"bie.methods.{settings.method}").build(settings)
    return built
