"""CLUB: penalises an upper bound on the mutual information of latent vector and batch.

Cheng et al. 2020 (CLUB: a contrastive log-ratio upper bound of mutual information, ICML). A network
q(batch | z) learns to tell the batch; with it

    I(z; batch) <= E_joint ln q(batch | z) - E_marginals ln q(batch | z),

which holds where q is the true conditional distribution, and for one that is near enough.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bie.config.penalties import ClassifierSection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.mutual_information.critics import Mlp
from bie.mutual_information.pairs import of_own_batch
from bie.penalties.base import Penalty
from bie.seeds import Streams


@section
class Club(ClassifierSection):
    """Section ``club``."""

    critic_term = "barber_agakov"


class ClubPenalty(Penalty):
    """``scale * CLUB``, with q trained by its likelihood.

    There are few batches, so that the mean over independent pairs is that over each cell of the minibatch
    with each batch, weighted by the batches' shares: no pairs have to be drawn.

    Parameters
    ----------
    settings
        Section ``club``: hidden layers of q (ELU), their units.
    n_latent, n_batches
        Latent dimensions, batches.
    init
        Stream of the initial weights of q.
    """

    def __init__(self, settings: Club, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.network = Mlp((n_latent, *[settings.n_hidden] * settings.n_layers, n_batches), init)

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Minus the mean of ln q at the true batches, nats."""
        return -of_own_batch(self.network(z_nd).log_softmax(-1), batch_n).mean(-1)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the bound; the history gets the bound as ``club``, nats.

        And, as ``barber_agakov``, the lower bound on the same mutual information that q gives, which tells
        what q sees.
        """
        log_q_nb: Tensor = self.network(z_nd, frozen=True).log_softmax(-1)
        bound = club_bound(log_q_nb, batch_n)
        seen = barber_agakov_bound(log_q_nb.detach(), batch_n)
        return self.current_scale() * bound, {"club": bound.detach(), "barber_agakov": seen}


def club_bound(log_q_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Cheng et al. 2020, equation 13, by all pairs of a cell with the batch of a cell: nats.

    Below 0 where q takes the cells of most batches for those of others; it is no bound there.

    Parameters
    ----------
    log_q_nb
        ``ln q(batch | z)``, ``(..., n, b)``.
    batch_n
        Batch codes, ``(..., n)``.
    """
    share_b = _shares(log_q_nb, batch_n)
    value: Tensor = (of_own_batch(log_q_nb, batch_n) - (share_b.unsqueeze(-2) * log_q_nb).sum(-1)).mean(-1)
    return value


def barber_agakov_bound(log_q_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Entropy of the batches' shares less the cross-entropy of q to the true batches, nats.

    A lower bound on the mutual information for any q, tight at the true one (Barber & Agakov 2003). Batches
    count by their cells, as they do where q learns: a q that can tell nothing answers with their shares.

    Parameters
    ----------
    log_q_nb, batch_n
        As for `club_bound`.
    """
    entropy = torch.special.entr(_shares(log_q_nb, batch_n)).sum(-1)
    value: Tensor = entropy + of_own_batch(log_q_nb, batch_n).mean(-1)
    return value


def _shares(log_q_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Of each batch in the cells, ``(..., b)``."""
    return one_hot(batch_n, log_q_nb.shape[-1]).to(log_q_nb.dtype).mean(-2)


def build(settings: Club, n_latent: int, n_batches: int, streams: Streams) -> ClubPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return ClubPenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
