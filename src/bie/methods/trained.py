"""scVI, trained here, with or without a penalty."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from bie.config import Model, PenaltySection, Train
from bie.data.cells import Cells
from bie.methods.base import Embedder, Latent, Row, Rows
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.seeds import Streams
from bie.training.checkpoint import CheckpointHook
from bie.training.evaluation import embed, loss_terms
from bie.training.fit import fit
from bie.training.run import TrainingRun


class Trained(Embedder):
    """The model, its penalty and the training loop as one embedder.

    Parameters
    ----------
    model, penalty, train
        Sections of the configuration.
    hook
        Of the training's state; see `bie.training.run.TrainingRun`.
    """

    def __init__(
        self,
        model: Model,
        penalty: tuple[str, PenaltySection] | None,
        train: Train,
        hook: CheckpointHook | None = None,
    ) -> None:
        self.settings, self.penalty, self.train, self.hook = model, penalty, train, hook

    def fit(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> list[Row]:
        """Train from initial weights; see `bie.training.fit.fit`."""
        (fitted,) = fit([self.run(cells, train, test, streams, on_epoch)], cells)
        return fitted.finished()

    def run(
        self, cells: Cells, train: Rows, test: Rows, streams: Streams, on_epoch: Callable[[Row], None]
    ) -> TrainingRun:
        """What is to be trained, alone or with others."""
        mean_b, var_b = map(torch.from_numpy, cells.library_moments())
        init = streams.torch("init")
        sizes = cells.n_genes, cells.n_batches
        self.model = Scvi(*sizes, self.settings, mean_b, var_b, init, cells.n_labels)
        penalty = build_penalty(self.penalty, self.settings.n_latent, cells.n_batches, streams)
        hook = self.hook or CheckpointHook()
        return TrainingRun(self.model, penalty, train, test, self.train, streams, on_epoch, hook)

    def restore(self, n_genes: int, n_batches: int, n_labels: int, state: Mapping[str, Tensor]) -> None:
        """Take the weights of a model that was trained on data of these sizes, in place of `fit`.

        Raises
        ------
        RuntimeError
            They are those of another model.
        """
        mean_b1 = state.get("library.mean_b1", torch.zeros(n_batches, 1))
        var_b1 = state.get("library.variance_b1", torch.ones(n_batches, 1))
        moments, init = (mean_b1.squeeze(-1), var_b1.squeeze(-1)), Streams(0).torch("init")
        self.model = Scvi(n_genes, n_batches, self.settings, *moments, init, n_labels)
        self.model.load_state_dict(state)

    def embed(self, cells: Cells, rows: Rows) -> Latent:
        """Posterior means."""
        return embed(self.model, cells, rows)

    def loss_terms(self, cells: Cells, rows: Rows, streams: Streams) -> Row:
        """Negative ELBO and its parts."""
        return loss_terms(self.model, cells, rows, streams)

    def state(self) -> dict[str, Tensor]:
        """Weights of the model, by name."""
        return self.model.state_dict()
