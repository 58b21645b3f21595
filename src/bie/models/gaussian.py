"""Normal distributions with a diagonal covariance, and the encoder that gives one for each cell."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bie.config import Model
from bie.models.layers import HiddenLayers, Linear
from bie.models.noise import Noise


class Gaussian(NamedTuple):
    """Normal distribution of each cell: mean and variance, both ``(..., n, d)``."""

    mean: Tensor
    variance: Tensor

    def sample(self, noise: Noise) -> Tensor:
        """Draw that carries gradients to mean and variance (Kingma and Welling 2014)."""
        return self.mean + self.variance.sqrt() * noise.normal(self.mean.shape)

    def kl(self, mean: Tensor | float = 0.0, variance: Tensor | float = 1.0) -> Tensor:
        """Kullback-Leibler divergence to the normal distribution with `mean` and `variance`.

        Returns
        -------
        Tensor
            ``sum_d ((v + (m - mean)^2) / variance - 1 - log(v / variance)) / 2`` of each cell,
            ``(..., n)``, nats, >= 0.
        """
        ratio = self.variance / variance
        return ((ratio + (self.mean - mean).square() / variance - 1 - ratio.log()) / 2).sum(-1)


class Draw(NamedTuple):
    """Of the distribution of each cell: a sample and the mean, ``(..., n, d)``, and its divergence from a
    prior, ``(..., n)``, nats."""

    sample: Tensor
    mean: Tensor
    kl: Tensor


class Encoder(nn.Module):
    """Network from log counts to a `Gaussian` for each cell (Lopez et al. 2018).

    Parameters
    ----------
    n_genes, n_batches, n_layers, n_out
        Inputs, batches among the covariates, hidden layers, dimensions of the distribution.
    settings
        Width, dropout, whether and where the batch enters, and the floor added to every variance (1e-4 in
        scvi-tools, 0 in the 2018 code).
    init
        Stream of the initial weights.
    """

    def __init__(
        self,
        n_genes: int,
        n_batches: int,
        n_layers: int,
        n_out: int,
        settings: Model,
        init: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_genes, self.sees_batch = n_genes, settings.encode_covariates
        self.hidden = HiddenLayers(
            n_genes,
            settings.n_hidden,
            n_layers,
            init,
            n_batches if self.sees_batch else 0,
            settings.dropout,
            settings.deeply_inject_covariates,
        )
        self.mean = Linear(settings.n_hidden, n_out, init)
        self.log_variance = Linear(settings.n_hidden, n_out, init)
        self.variance_floor = settings.variance_floor

    def forward(
        self, log_x_ng: Tensor, batch_nb: Tensor | None = None, noise: Noise | None = None
    ) -> Gaussian:
        """Distribution of each cell, from ``log(1 + counts)``; without noise nothing is dropped.

        `batch_nb`, the one-hot batch, is read where the encoder sees it (``model.encode_covariates``).
        """
        h = self.hidden(log_x_ng, batch_nb if self.sees_batch else None, noise)
        return Gaussian(self.mean(h), self.log_variance(h).exp() + self.variance_floor)

    def draw(
        self,
        log_x_ng: Tensor,
        batch_nb: Tensor,
        noise: Noise,
        mean: Tensor | float = 0.0,
        variance: Tensor | float = 1.0,
    ) -> Draw:
        """`Gaussian.sample` of each cell's distribution, its mean, and its `Gaussian.kl` to a prior."""
        posterior = self(log_x_ng, batch_nb, noise)
        return Draw(posterior.sample(noise), posterior.mean, posterior.kl(mean, variance))
