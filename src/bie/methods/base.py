"""What an embedder is to the experiment."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bie.data.cells import Cells
from bie.errors import BadInput
from bie.seeds import Streams

Row = dict[str, float]
Rows = NDArray[np.int64]
Latent = NDArray[np.float32]


class Embedder(ABC):
    """Learns from some cells, if at all, and gives latent vectors to all."""

    def check(self, cells: Cells, n_train: int) -> None:  # noqa: B027
        """Raise `BadInput` if these cells, of which so many train, cannot be embedded; load nothing heavy."""

    @abstractmethod
    def fit(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> list[Row]:
        """Learn from the training cells.

        Parameters
        ----------
        cells, train, test
            The data, the rows that train, the rows that are held out.
        streams
            Of the run.
        on_epoch
            Called with each row of the history as it is made.

        Returns
        -------
        list[Row]
            The history, a row for each epoch; none where there are no epochs.

        Raises
        ------
        RunFailed
            It came to nothing.
        """

    @abstractmethod
    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Latent vectors of some cells, ``z_nd``, in the order of `rows`; after `fit`."""

    def loss_terms(self, cells: Cells, rows: Rows, streams: Streams) -> Row:
        """Parts of the loss on some cells, nats per cell; none where there is no likelihood."""
        return {}

    def classify(self, cells: Cells, rows: Rows) -> NDArray[np.int64] | None:
        """Codes of the predicted types of some cells; None where the model predicts none."""
        return None


class Joint(Embedder):
    """An embedder that treats all cells at once, so that new cells would need a new fit."""

    def fit(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> list[Row]:
        """Embed all cells; there are no epochs."""
        self._z_nd = self.latent(cells, train, streams).astype(np.float32)
        return []

    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Latent vectors of some of the cells that were fitted."""
        return self._z_nd[rows]

    @abstractmethod
    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.floating]:
        """Latent vectors of all cells, ``z_nd``."""


def needs(package: str, module: str, model: str) -> None:
    """Raise `BadInput` if the package of another method is not installed.

    Parameters
    ----------
    package, module
        How pip and how Python calls it.
    model
        Who needs it.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        name = package.partition(">")[0]
        raise BadInput(
            f"model={model}: {name} is not installed. Install it beside bie: pip install '{package}'"
        )


def around_centres(code_n: Rows, n_latent: int, sd: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws around a centre for each code, itself a draw of N(0, I).

    Parameters
    ----------
    code_n
        Batch or label of every cell.
    sd
        Of the draws, in every dimension.
    """
    centre_bd = rng.standard_normal((code_n.max() + 1, n_latent))
    return centre_bd[code_n] + sd * rng.standard_normal((len(code_n), n_latent))
