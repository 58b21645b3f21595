"""Orthogonality: penalises the covariance of the latent vector with the batch.

The loss ``Orthog`` of scIB-E (Yi et al. 2025, Genome Biology, 10.1186/s13059-025-03869-z): the squared
Frobenius norm of the cross-covariance. Theirs is with a learned embedding of the batch, which can shrink;
here it is with the one-hot batch, which cannot, and of which the embedding is a linear function. It is 0
where all batches have the same mean, whatever else they differ in. There is no critic to train.
"""

from torch import Tensor
from torch.nn.functional import one_hot

from bie.config.penalties import PenaltySection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.penalties.base import Penalty
from bie.seeds import Streams


@section
class Orthogonal(PenaltySection):
    """Section ``orthogonal``, which has a scale and nothing else."""

    free = ("scale",)


class OrthogonalPenalty(Penalty):
    """``scale * |Cov(z, one-hot batch)|²``, the sum over latent dimensions and batches.

    Parameters
    ----------
    settings
        Section ``orthogonal``.
    n_batches
        Batches.
    """

    def __init__(self, settings: Orthogonal, n_batches: int) -> None:
        super().__init__()
        self.scale, self.n_batches = settings.scale, n_batches

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty, in squared units of z; the history gets it without its scale as ``covariance``."""
        batch_nb = one_hot(batch_n, self.n_batches).to(z_nd.dtype)
        centred_nd = z_nd - z_nd.mean(-2, keepdim=True)
        covariance_db = centred_nd.mT @ batch_nb / max(z_nd.shape[-2] - 1, 1)
        norm = covariance_db.square().sum((-2, -1))
        return self.current_scale() * norm, {"covariance": norm.detach()}


def build(settings: Orthogonal, n_latent: int, n_batches: int, streams: Streams) -> OrthogonalPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return OrthogonalPenalty(settings, n_batches)
