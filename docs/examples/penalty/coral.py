"""CORAL: penalises the distance between the covariances of the latent vectors in different batches.

Sun & Saenko 2016 (Deep CORAL, ECCV workshops, arXiv:1607.01719). There is no critic to train.
"""

import torch
from torch import Tensor

from bie.config.penalties import PenaltySection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.penalties.base import Penalty
from bie.seeds import Streams


@section
class Coral(PenaltySection):
    """Section ``coral``, which has a scale and nothing else."""


class CoralPenalty(Penalty):
    """``scale * mean of |C_a - C_b|² / 4d²`` over the pairs of batches, C the covariances of their cells."""

    def __init__(self, settings: Coral, n_batches: int) -> None:
        super().__init__()
        self.scale, self.n_batches = settings.scale, n_batches

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty, dimensionless; the history gets it without its scale as ``coral``."""
        parts = [z_nd[batch_n == batch] for batch in range(self.n_batches)]
        covariances = [torch.cov(part.T) for part in parts if len(part) > 1]
        pairs = [(a - b).square().sum() for i, a in enumerate(covariances) for b in covariances[:i]]
        distance = torch.stack(pairs).mean() / (4 * z_nd.shape[-1] ** 2) if pairs else z_nd.new_zeros(())
        return self.current_scale() * distance, {"coral": distance.detach()}


def build(settings: Coral, n_latent: int, n_batches: int, streams: Streams) -> CoralPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return CoralPenalty(settings, n_batches)
