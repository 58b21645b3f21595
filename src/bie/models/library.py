"""Library size: by how much the decoder's proportions are scaled up to a cell's counts."""

import torch
from torch import Tensor, nn

from bie.config import Model
from bie.errors import BadInput
from bie.models.gaussian import Encoder
from bie.models.noise import Noise

MOST_LOG_COUNTS = 15.0
"""Bound of a drawn log library size, 3.3 million counts: that of totalVI (Gayoso et al. 2021,
doi:10.1038/s41592-020-01050-x)."""


class ObservedLibrary(nn.Module):
    """The cell's total count, taken as it is (the default of scvi-tools)."""

    def forward(
        self, x_ng: Tensor, log_x_ng: Tensor, batch_nb: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Log total counts ``(..., n, 1)`` and a divergence of zero ``(..., n)``."""
        total = x_ng.sum(-1)
        return total.log().unsqueeze(-1), torch.zeros_like(total)


class ModelledLibrary(nn.Module):
    """A latent variable, log-normal with the moments of the cell's batch a priori (Lopez et al. 2018).

    Of a batch without a variance it is that of all cells: see `bie.data.cells.Cells.library_moments`.

    Draws are bounded. In the first epochs the running moments of the batch norm are far from those of the
    minibatches, and a draw in evaluation mode may be of a size whose exponential overflows, where all draws
    in training are ordinary ones.

    Parameters
    ----------
    n_genes
        Inputs of the encoder, which always has one hidden layer.
    settings
        Width, dropout and variance floor of the encoder, and whether it sees the batch.
    mean_b, variance_b
        Moments of the log total counts of each batch.
    init
        Stream of the initial weights.

    Attributes
    ----------
    most
        Bound of the draws: `MOST_LOG_COUNTS`, or five standard deviations above the mean of the batch with
        the largest cells.

    Raises
    ------
    BadInput
        A variance of 0: the prior would be a single point.
    """

    mean_b1: Tensor
    variance_b1: Tensor

    def __init__(
        self, n_genes: int, settings: Model, mean_b: Tensor, variance_b: Tensor, init: torch.Generator
    ) -> None:
        super().__init__()
        if not (variance_b > 0).all():
            batch = int(variance_b.argmin())
            raise BadInput(
                f"model.library=modelled: batch number {batch} has a prior variance of 0. "
                "Use model.library=observed"
            )
        self.encoder = Encoder(n_genes, len(mean_b), 1, 1, settings, init)
        self.most = max(MOST_LOG_COUNTS, float((mean_b + 5 * variance_b.sqrt()).max()))
        self.register_buffer("mean_b1", mean_b.unsqueeze(-1))
        self.register_buffer("variance_b1", variance_b.unsqueeze(-1))

    def forward(
        self, x_ng: Tensor, log_x_ng: Tensor, batch_nb: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Sampled log library size ``(..., n, 1)`` and its divergence from the prior ``(..., n)``, nats."""
        prior = batch_nb @ self.mean_b1, batch_nb @ self.variance_b1
        draw = self.encoder.draw(log_x_ng, batch_nb, noise, *prior)
        return draw.sample.clamp(max=self.most), draw.kl
