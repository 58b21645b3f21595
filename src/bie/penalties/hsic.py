"""HSIC: penalises the dependence of latent vector and batch, measured by kernels.

The Hilbert-Schmidt independence criterion of two variables under kernels k and l (Gretton et al. 2005,
Measuring statistical dependence with Hilbert-Schmidt norms, ALT),

    HSIC = E k(z, z') l(b, b') + E k(z, z') E l(b, b') - 2 E[E_z' k(z, z') E_b' l(b, b')],

is 0 for a gaussian k and an l that tells batches apart where z and b are independent, and nowhere else.
Lopez et al. 2018 (Information constraints on auto-encoding variational Bayes, NeurIPS) add it to a
variational autoencoder's loss, of single cells too. There is no critic to train.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import one_hot

from bie.config.penalties import PenaltySection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.penalties.base import Penalty
from bie.penalties.mmd import kernel_matrix
from bie.seeds import Streams


@section
class Hsic(PenaltySection):
    """Section ``hsic``."""

    free = ("scale",)

    bandwidth: Literal["unit", "median", "multi"]


class HsicPenalty(Penalty):
    """``scale * HSIC`` of the minibatch, its batches compared by whether they are the same.

    Parameters
    ----------
    settings
        Section ``hsic``.
    n_batches
        Batches.
    """

    def __init__(self, settings: Hsic, n_batches: int) -> None:
        super().__init__()
        self.scale, self.bandwidth, self.n_batches = settings.scale, settings.bandwidth, n_batches

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times HSIC, dimensionless; the history gets HSIC itself as ``hsic``."""
        value = hsic(z_nd, batch_n, self.n_batches, self.bandwidth)
        return self.current_scale() * value, {"hsic": value.detach()}


def hsic(z_nd: Tensor, batch_n: Tensor, n_batches: int, bandwidth: str) -> Tensor:
    """The biased statistic of Gretton et al. 2005, definition 2 with n² for (n - 1)²: ``tr(KHLH) / n²``.

    Never negative. Of two batches with shares p and q it is ``2 (pq)²`` times their MMD² by the same kernel.

    Parameters
    ----------
    z_nd
        Latent vectors, ``(..., n, d)``.
    batch_n
        Batch codes, ``(..., n)``.
    n_batches
        Number of codes.
    bandwidth
        Of the gaussian kernels of z, see `bie.penalties.mmd.rates`.
    """
    kernel_nn = kernel_matrix(z_nd, bandwidth)
    batch_nb = one_hot(batch_n, n_batches).to(z_nd.dtype)
    centred_nb = batch_nb - batch_nb.mean(-2, keepdim=True)  # L is the product of batch_nb with itself
    value: Tensor = (centred_nb * (kernel_nn @ centred_nb)).sum((-2, -1)) / z_nd.shape[-2] ** 2
    return value


def build(settings: Hsic, n_latent: int, n_batches: int, streams: Streams) -> HsicPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return HsicPenalty(settings, n_batches)
