"""scVI: a variational autoencoder of single-cell counts (Lopez et al. 2018, Nat Methods 15:1053).

For a cell with counts x of batch s:

    z ~ N(0, 1),  log l ~ N(mu_s, var_s) or the observed log total
    rho = softmax(f(z, s)),  x_g ~ ZINB(mean l rho_g, inverse dispersion theta_g, logit pi_g(z, s))

with f and pi from one decoder network and theta a parameter of each gene. Two encoder networks see
``log(1 + x)`` and never the batch. The loss of a cell is the negative evidence lower bound,
``-log p(x | z, l, s) + KL(q(z | x) || p(z)) + KL(q(l | x) || p(l | s))``.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bie.config import Model
from bie.kernels.counts import Counts, SparseCounts
from bie.kernels.likelihood import log_likelihood
from bie.models.gaussian import Encoder, Gaussian
from bie.models.layers import HiddenLayers, Linear
from bie.models.library import ModelledLibrary, ObservedLibrary
from bie.models.likelihoods import nb_of_cell, zinb_of_cell
from bie.models.noise import Noise


class Terms(NamedTuple):
    """What one pass gives for each cell: the sampled latent vector and the parts of the loss, in nats."""

    z_nd: Tensor
    reconstruction_n: Tensor
    kl_z_n: Tensor
    kl_library_n: Tensor


class Decoder(nn.Module):
    """Network from the latent vector to the log-likelihood of a cell's counts.

    Parameters
    ----------
    n_genes, n_batches
        Genes; batches among the covariates.
    settings
        Sizes, likelihood, and whether the network sees the batch.
    init
        Stream of the initial weights.
    """

    def __init__(self, n_genes: int, n_batches: int, settings: Model, init: torch.Generator) -> None:
        super().__init__()
        self.sees_batch = settings.batch_covariate
        n_covariates = n_batches if self.sees_batch else 0
        width = settings.n_hidden
        self.hidden = HiddenLayers(settings.n_latent, width, settings.n_layers, init, n_covariates)
        self.log_proportion = Linear(width, n_genes, init)
        self.zero_logit = Linear(width, n_genes, init) if settings.likelihood == "zinb" else None
        self.log_theta = nn.Parameter(torch.randn(1, n_genes, generator=init))

    def forward(self, x_ng: Counts, z_nd: Tensor, log_library_n1: Tensor, batch_nb: Tensor) -> Tensor:
        """Log-likelihood of each cell, ``(..., n)``, nats."""
        h = self.hidden(z_nd, batch_nb if self.sees_batch else None)
        theta_1g = self.log_theta.exp()
        if isinstance(x_ng, SparseCounts):  # what follows, in one pass
            return log_likelihood(x_ng, h, log_library_n1, theta_1g, self.log_proportion, self.zero_logit)
        mu_ng = log_library_n1.exp() * self.log_proportion(h).softmax(-1)
        if self.zero_logit is None:
            return nb_of_cell(x_ng, mu_ng, theta_1g)
        return zinb_of_cell(x_ng, mu_ng, theta_1g, self.zero_logit(h))


class Scvi(nn.Module):
    """The whole model.

    Parameters
    ----------
    n_genes, n_batches
        Size of the data.
    settings
        Section ``model`` of the configuration.
    library_mean_b, library_var_b
        Moments of the log total counts of each batch, the prior of a modelled library size.
    init
        Stream of the initial weights.
    """

    def __init__(
        self,
        n_genes: int,
        n_batches: int,
        settings: Model,
        library_mean_b: Tensor,
        library_var_b: Tensor,
        init: torch.Generator,
    ) -> None:
        super().__init__()
        self.n_batches = n_batches
        self.encoder = Encoder(n_genes, settings.n_layers, settings.n_latent, settings, init)
        self.library = (
            ObservedLibrary()
            if settings.library == "observed"
            else ModelledLibrary(n_genes, settings, library_mean_b, library_var_b, init)
        )
        self.decoder = Decoder(n_genes, n_batches, settings, init)

    def forward(self, x_ng: Counts, batch_n: Tensor, noise: Noise) -> Terms:
        """Encode, sample, decode.

        Parameters
        ----------
        x_ng
            Counts, ``(..., n, g)``; in training n >= 2.
        batch_n
            Batch codes, ``(..., n)``, int64.
        noise
            Stream of the dropout masks and the samples.
        """
        log_x_ng = x_ng.log1p()
        batch_nb = one_hot(batch_n, self.n_batches).to(x_ng.dtype)
        posterior: Gaussian = self.encoder(log_x_ng, noise)
        z_nd = posterior.sample(noise)
        log_library_n1, kl_library_n = self.library(x_ng, log_x_ng, batch_nb, noise)
        log_likelihood_n = self.decoder(x_ng, z_nd, log_library_n1, batch_nb)
        return Terms(z_nd, -log_likelihood_n, posterior.kl(), kl_library_n)

    def posterior_mean(self, x_ng: Counts) -> Tensor:
        """Embedding of each cell, ``(..., n, d)``: the mean of its latent distribution."""
        posterior: Gaussian = self.encoder(x_ng.log1p())
        return posterior.mean
