"""The decoder: from a latent vector to the log-likelihood of a cell's counts.

One network gives proportions of the genes, which the library size scales up to means. What else the
likelihood needs, the inverse dispersion theta of each gene, is shared by as many cells as
``model.dispersion`` says:

=============== ============================ ======================
``dispersion``  theta                        ``log_theta``
=============== ============================ ======================
``gene``        one number for all cells     parameter ``(1, g)``
``gene-batch``  one for each batch           parameter ``(b, g)``
``gene-label``  one for each cell type       parameter ``(l, g)``
``gene-cell``   decoded, like the mean       layer on the network
=============== ============================ ======================
"""

import torch
from torch import Tensor, nn

from bie.config import Model
from bie.errors import BadInput
from bie.kernels import fused
from bie.models.layers import HiddenLayers, Linear
from bie.models.likelihoods import gaussian_of_cell, nb_of_cell, poisson_of_cell, zinb_of_cell


class Decoder(nn.Module):
    """Network from the latent vector to the log-likelihood of a cell's counts.

    Parameters
    ----------
    n_genes, n_batches, n_labels
        Genes; batches and cell types, among the covariates or with a dispersion of their own.
    settings
        Sizes, likelihood, dispersion, and whether and where the network sees the batch.
    init
        Stream of the initial weights.

    Raises
    ------
    BadInput
        A dispersion for each cell type where there are none.
    """

    def __init__(
        self, n_genes: int, n_batches: int, n_labels: int, settings: Model, init: torch.Generator
    ) -> None:
        super().__init__()
        self.likelihood, self.dispersion = settings.likelihood, settings.dispersion
        has_theta = settings.likelihood != "poisson"
        self.sees_batch = settings.batch_covariate
        self.sees_labels = has_theta and settings.dispersion == "gene-label"
        width = settings.n_hidden
        self.hidden = HiddenLayers(
            settings.n_latent,
            width,
            settings.n_layers,
            init,
            n_batches if self.sees_batch else 0,
            deep=settings.deeply_inject_covariates,
        )
        self.log_proportion = Linear(width, n_genes, init, by_output=True)
        self.zero_logit = (
            Linear(width, n_genes, init, by_output=True) if settings.likelihood == "zinb" else None
        )
        self.log_theta = _log_theta(n_genes, n_batches, n_labels, settings, init) if has_theta else None

    def forward(
        self,
        x_ng: Tensor,
        z_nd: Tensor,
        log_library_n1: Tensor,
        batch_nb: Tensor,
        label_nl: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihood of each cell, ``(..., n)``, nats; the labels, one-hot, where theta wants them."""
        h = self.hidden(z_nd, batch_nb if self.sees_batch else None)
        logit_ng = self.log_proportion(h)
        if isinstance(self.log_theta, Tensor) and self._is_fused(x_ng, self.log_theta):
            zero_logit_ng = self.zero_logit(h) if self.zero_logit is not None else None
            return fused.log_likelihood(x_ng, logit_ng, log_library_n1, self.log_theta, zero_logit_ng)
        mu_ng = log_library_n1.exp() * logit_ng.softmax(-1)
        if self.likelihood == "poisson":
            return poisson_of_cell(x_ng, mu_ng)
        theta = self.theta(h, batch_nb, label_nl)
        if self.zero_logit is not None:
            return zinb_of_cell(x_ng, mu_ng, theta, self.zero_logit(h))
        return (nb_of_cell if self.likelihood == "nb" else gaussian_of_cell)(x_ng, mu_ng, theta)

    def _is_fused(self, x_ng: Tensor, log_theta: Tensor) -> bool:
        counts = self.likelihood in ("nb", "zinb") and self.dispersion == "gene"
        return counts and fused.takes(x_ng, log_theta)

    def theta(self, h: Tensor, batch_nb: Tensor, label_nl: Tensor | None) -> Tensor:
        """Inverse dispersions for all cells, ``(..., 1, g)``, or for each, ``(..., n, g)``."""
        assert self.log_theta is not None  # a Poisson count has none
        if isinstance(self.log_theta, Linear):
            of_cell: Tensor = self.log_theta(h)
            return of_cell.exp()
        if self.dispersion == "gene":
            return self.log_theta.exp()
        groups = batch_nb if self.dispersion == "gene-batch" else label_nl
        assert groups is not None
        return (groups @ self.log_theta).exp()


def _log_theta(
    n_genes: int, n_batches: int, n_labels: int, settings: Model, init: torch.Generator
) -> nn.Parameter | Linear:
    """Log inverse dispersions: standard normal at first, as in scVI, where they are parameters."""
    if settings.dispersion == "gene-cell":
        return Linear(settings.n_hidden, n_genes, init)
    n_rows = {"gene": 1, "gene-batch": n_batches, "gene-label": n_labels}[settings.dispersion]
    if n_rows == 0:
        raise BadInput("model.dispersion=gene-label: the cells have no labels. Use model.dispersion=gene")
    return nn.Parameter(torch.randn(n_rows, n_genes, generator=init))
