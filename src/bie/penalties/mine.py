"""MINE: penalises the mutual information of latent vector and batch, estimated by a trained critic.

Belghazi et al. 2018 (MINE: Mutual Information Neural Estimation, ICML). The critic climbs the
Donsker-Varadhan bound on I(z; batch), the encoder descends it.
"""

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import one_hot

from bie.config import Mine
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

    def __init__(self, settings: Mine, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.n_batches = n_batches
        self.critic = MlpCritic(n_latent, n_batches, settings.n_hidden, settings.n_layers, init)
        self.average = LogMovingAverage(settings.ema)

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Minus the bound, by the gradient that minibatches do not bias; updates the moving average."""
        joint_n, marginal_n = self.critic(*self._pairs(z_nd, batch_n, noise)).chunk(2, -1)
        log_average = self.average.update(log_mean_exp(marginal_n.detach()))
        return critic_objective(joint_n, marginal_n, log_average)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the bound, at least 0; the history gets the bound itself as ``mine``, nats."""
        frozen = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        scores: Tensor = functional_call(self.critic, frozen, self._pairs(z_nd, batch_n, noise))
        bound = dv_bound(*scores.chunk(2, -1))
        return self.scale * bound.relu(), {"mine": bound.detach()}

    def _pairs(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Rows that belong together, then as many independent ones, so that the critic runs once."""
        batch_nb = one_hot(batch_n, self.n_batches).to(z_nd.dtype)
        shuffled_nb = batch_nb[noise.permutation(len(batch_n))]
        return torch.cat((z_nd, z_nd), -2), torch.cat((batch_nb, shuffled_nb), -2)


def build(settings: Mine, n_latent: int, n_batches: int, streams: Streams) -> MinePenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return MinePenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
