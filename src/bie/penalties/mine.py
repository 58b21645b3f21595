"""MINE: penalises the mutual information of latent vector and batch, estimated by a trained critic.

Belghazi et al. 2018 (MINE: Mutual Information Neural Estimation, ICML). The critic climbs the
Donsker-Varadhan bound on I(z; batch), the encoder descends it.
"""

import torch
from torch import Tensor

from bie.config import Mine
from bie.kernels import donsker_varadhan, is_active
from bie.kernels.native import fits
from bie.models.noise import Noise
from bie.mutual_information.critics import MlpCritic
from bie.mutual_information.estimators import LogMovingAverage, critic_objective, dv_bound, log_mean_exp
from bie.penalties.base import Penalty
from bie.seeds import Streams


class MinePenalty(Penalty):
    """``scale * max(0, DV(z, batch))``.

    Pairs that belong together are the cells of a minibatch; independent pairs are the same latent vectors
    with the batches in random order. A mutual information is never negative: an estimate below 0 says
    that the critic is behind, and an encoder that followed it further down would be paid for confusing the
    critic, not for forgetting the batch. There it rests, until the critic has caught up.

    Parameters
    ----------
    settings
        Section ``mine`` of the configuration.
    n_latent, n_batches
        Latent dimensions, batches.
    init
        Stream of the critic's initial weights.
    """

    one_hot_bb: Tensor

    def __init__(self, settings: Mine, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.n_batches = n_batches
        self.register_buffer("one_hot_bb", torch.eye(n_batches), persistent=False)
        self.critic = MlpCritic(n_latent, n_batches, settings.n_hidden, settings.n_layers, init)
        self.average = LogMovingAverage(settings.ema)

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Minus the bound, by the gradient that minibatches do not bias; updates the moving average."""
        joint_n, marginal_n = self.critic(*self._pairs(z_nd, batch_n, noise)).chunk(2, -1)
        log_average = self.average.update(log_mean_exp(marginal_n.detach()))
        return critic_objective(joint_n, marginal_n, log_average)

    def critic_backward(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> None:
        """By hand where there are kernels: for so small a network autograd costs as much as the gradient."""
        network = self.critic.network
        if not (is_active() and fits(z_nd) and fits(network.vector)):
            super().critic_backward(z_nd, batch_n, noise)
            return
        pairs = torch.cat(self._pairs(z_nd, batch_n, noise), -1)
        vector, state = network.vector.detach(), self.average.state()
        network.vector.grad = donsker_varadhan.critic_gradient(pairs, vector, network.widths, state)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the bound, at least 0; the history gets the bound itself as ``mine``, nats."""
        score_2n = self.critic(*self._pairs(z_nd, batch_n, noise), frozen=True)
        fast = donsker_varadhan.takes(score_2n)
        bound = donsker_varadhan.bound(score_2n) if fast else dv_bound(*score_2n.chunk(2, -1))
        return self.scale * bound.relu(), {"mine": bound.detach()}

    def _pairs(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Rows that belong together, then as many independent ones, so that the critic runs once."""
        both_2n = torch.cat((batch_n, batch_n[noise.permutation(len(batch_n))]))
        return torch.cat((z_nd, z_nd)), self.one_hot_bb[both_2n]


def build(settings: Mine, n_latent: int, n_batches: int, streams: Streams) -> MinePenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return MinePenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
