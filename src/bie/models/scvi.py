"""scVI: a variational autoencoder of single-cell counts (Lopez et al. 2018, Nat Methods 15:1053).

For a cell with counts x of batch s:

    z ~ N(0, 1),  log l ~ N(mu_s, var_s) or the observed log total
    rho = softmax(f(z, s)),  x_g ~ ZINB(mean l rho_g, inverse dispersion theta_g, logit pi_g(z, s))

with f and pi from one decoder network and theta a parameter of each gene; `bie.models.decoder` has the other
likelihoods and dispersions. Two encoder networks see ``log(1 + x)``, and the batch only if asked
(``model.encode_covariates``). The loss of a cell is the negative evidence lower bound,
``-log p(x | z, l, s) + KL(q(z | x) || p(z)) + KL(q(l | x) || p(l | s))``.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bie.config import Model
from bie.models.decoder import Decoder
from bie.models.gaussian import Encoder, Gaussian
from bie.models.library import ModelledLibrary, ObservedLibrary
from bie.models.noise import Noise


class Terms(NamedTuple):
    """What one pass gives for each cell: latent vector, as sampled and its mean; parts of the loss, nats."""

    z_nd: Tensor
    mean_nd: Tensor
    reconstruction_n: Tensor
    kl_z_n: Tensor
    kl_library_n: Tensor


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
    n_labels
        Cell types, 0 where nobody labelled the cells; with ``model.dispersion=gene-label`` 1 or more.
    """

    def __init__(
        self,
        n_genes: int,
        n_batches: int,
        settings: Model,
        library_mean_b: Tensor,
        library_var_b: Tensor,
        init: torch.Generator,
        n_labels: int = 0,
    ) -> None:
        super().__init__()
        self.n_batches, self.n_labels = n_batches, n_labels
        self.encoder = Encoder(n_genes, n_batches, settings.n_layers, settings.n_latent, settings, init)
        self.library = (
            ObservedLibrary()
            if settings.library == "observed"
            else ModelledLibrary(n_genes, settings, library_mean_b, library_var_b, init)
        )
        self.decoder = Decoder(n_genes, n_batches, n_labels, settings, init)

    def forward(self, x_ng: Tensor, batch_n: Tensor, noise: Noise, label_n: Tensor | None = None) -> Terms:
        """Encode, sample, decode.

        Parameters
        ----------
        x_ng
            Counts, ``(..., n, g)``; in training n >= 2.
        batch_n
            Batch codes, ``(..., n)``, int64.
        noise
            Stream of the dropout masks and the samples.
        label_n
            Codes of the cell types, ``(..., n)``, int64; read with ``model.dispersion=gene-label`` only.
        """
        log_x_ng = x_ng.log1p()
        batch_nb = one_hot(batch_n, self.n_batches).to(x_ng.dtype)
        label_nl = None
        if self.decoder.sees_labels and label_n is not None:
            label_nl = one_hot(label_n, self.n_labels).to(x_ng.dtype)
        z_nd, mean_nd, kl_z_n = self.encoder.draw(log_x_ng, batch_nb, noise)
        log_library_n1, kl_library_n = self.library(x_ng, log_x_ng, batch_nb, noise)
        log_likelihood_n = self.decoder(x_ng, z_nd, log_library_n1, batch_nb, label_nl)
        return Terms(z_nd, mean_nd, -log_likelihood_n, kl_z_n, kl_library_n)

    def posterior_mean(self, x_ng: Tensor, batch_n: Tensor | None = None) -> Tensor:
        """Embedding of each cell, ``(..., n, d)``: the mean of its latent distribution.

        The batch codes are needed with ``model.encode_covariates`` only.
        """
        batch_nb = None if batch_n is None else one_hot(batch_n, self.n_batches).to(x_ng.dtype)
        posterior: Gaussian = self.encoder(x_ng.log1p(), batch_nb)
        return posterior.mean
