"""Reverse cross-entropy: classifier and encoder learn together to name any batch but the true one.

The loss ``RCE`` of scIB-E (Yi et al. 2025, Genome Biology, 10.1186/s13059-025-03869-z), as its published
code has it: one optimiser holds encoder and classifier, and both lower the cross-entropy of the classifier's
answer to equal probabilities of all batches but the true one. Who is to leave out the true batch has to know
it. So this is no adversary, whose classifier is trained on the truth (`bie.penalties.adversarial` with
``objective=wrong_class``): the encoder is paid for telling the batch, and of two batches the loss is that of
plain classification with the names exchanged. Here to be measured, not to be used.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from bie.config.penalties import ClassifierSection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.mutual_information.critics import Mlp
from bie.penalties.base import Penalty
from bie.seeds import Streams


@section
class Rce(ClassifierSection):
    """Section ``rce``."""

    critic_term = "barber_agakov"


class RcePenalty(Penalty):
    """``scale * cross-entropy to the wrong batches``, which the classifier lowers as well.

    Parameters
    ----------
    settings
        Section ``rce``: hidden layers of the classifier (ELU), their units.
    n_latent, n_batches
        Latent dimensions, batches.
    init
        Stream of the classifier's initial weights.
    """

    def __init__(self, settings: Rce, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.network = Mlp((n_latent, *[settings.n_hidden] * settings.n_layers, n_batches), init)

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """The cross-entropy, nats."""
        return reverse_cross_entropy(self.network(z_nd).log_softmax(-1), batch_n)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the cross-entropy, which the history gets as ``reverse_cross_entropy``, nats.

        And, as ``barber_agakov``, the lower bound on the mutual information that the classifier gives.
        """
        log_probability_nb: Tensor = self.network(z_nd, frozen=True).log_softmax(-1)
        value = reverse_cross_entropy(log_probability_nb, batch_n)
        seen = wrong_batch_bound(log_probability_nb.detach(), batch_n)
        return self.current_scale() * value, {"reverse_cross_entropy": value.detach(), "barber_agakov": seen}


def reverse_cross_entropy(log_probability_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Mean over the cells ``(..., n)`` of the cross-entropy to equal probabilities of other batches, nats.

    At least ln(batches - 1), which is reached where the true batch is known.
    """
    other_nb = _others(log_probability_nb, batch_n)
    value: Tensor = -(other_nb * log_probability_nb).sum(-1).mean(-1) / max(other_nb.shape[-1] - 1, 1)
    return value


def wrong_batch_bound(log_probability_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Lower bound on I(z; batch) by what the classifier sees, nats: 0 where it sees nothing.

    That of Barber & Agakov 2003 on the information about a wrong batch, drawn for each cell: its entropy less
    the `reverse_cross_entropy`. The true batch alone decides which are wrong, so z knows no more of the one
    than of the other. All of it for two batches; of more, all alike, at most ln(batches / (batches - 1)).
    """
    other_nb = _others(log_probability_nb, batch_n)
    share_b = other_nb.mean(-2) / max(other_nb.shape[-1] - 1, 1)
    value: Tensor = torch.special.entr(share_b).sum(-1) - reverse_cross_entropy(log_probability_nb, batch_n)
    return value


def _others(log_probability_nb: Tensor, batch_n: Tensor) -> Tensor:
    return 1 - one_hot(batch_n, log_probability_nb.shape[-1]).to(log_probability_nb.dtype)


def build(settings: Rce, n_latent: int, n_batches: int, streams: Streams) -> RcePenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return RcePenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
