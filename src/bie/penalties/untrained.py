"""The penalty of the 2019 study as it ran: MINE with a critic that nobody trained.

A replica of a defect (``mine.critic_training=none``), there to repeat that study's tables and to see what
they show; `bie.penalties.mine` is the method.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bie.models.noise import Noise
from bie.mutual_information import build_critic
from bie.mutual_information.estimators import dv_bound
from bie.mutual_information.pairs import batch_inputs
from bie.penalties.base import Penalty

if TYPE_CHECKING:
    from bie.penalties.mine import Mine


class UntrainedPenalty(Penalty):
    """``scale * DV(z, batch)`` of a critic that is drawn anew for every minibatch and then thrown away.

    What the study's code did, and this does: no optimiser holds the critic. Its value is added as it comes,
    below 0 too. The latent vectors of the independent pairs are detached, so that the encoder feels the term
    of the joint pairs alone, ``scale * mean T``: a push in the direction of a random function, of no relation
    to the mutual information. Batch norm takes the moments of each set of pairs from that set; of a single
    cell, such as may be left over among test cells, it can take none, and the two terms are the same number.

    Parameters
    ----------
    settings
        Section ``mine``; the study fed its critic the ``raw`` batch.
    n_latent, n_batches
        Latent dimensions, batches.
    """

    input_bc: Tensor

    def __init__(self, settings: "Mine", n_latent: int, n_batches: int) -> None:
        super().__init__()
        self.settings, self.n_latent = settings, n_latent
        self.register_buffer("input_bc", batch_inputs(n_batches, settings.sees), persistent=False)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the estimate; the history gets the estimate itself as ``mine``, nats."""
        if len(z_nd) == 1:
            return 0 * z_nd.sum(), {"mine": z_nd.new_zeros(())}
        critic, batch_nc = self.draw(noise.generator), self.input_bc[batch_n]
        marginal_n = critic(z_nd.detach()[noise.permutation(len(z_nd))], batch_nc)
        estimate = dv_bound(critic(z_nd, batch_nc), marginal_n)
        return self.settings.scale * estimate, {"mine": estimate.detach()}

    def draw(self, stream: torch.Generator) -> torch.nn.Module:
        """A critic that has learned nothing and never will."""
        sizes = self.settings.n_hidden, self.settings.n_layers
        columns = self.n_latent, self.input_bc.shape[-1]
        return build_critic(self.settings.critic, *columns, *sizes, stream).requires_grad_(False)
