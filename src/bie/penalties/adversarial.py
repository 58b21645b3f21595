"""Adversary: a classifier learns to tell the batch from the latent vector, the encoder to prevent it.

Ganin et al. 2016 (Domain-adversarial training of neural networks, JMLR 17:59). The cross-entropy of the
best classifier falls short of the entropy of the batch by their mutual information I(z; batch).
"""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import elu, one_hot

from bie.config.penalties import ClassifierSection
from bie.config.sections import section
from bie.models.noise import Noise
from bie.mutual_information.critics import Mlp
from bie.mutual_information.pairs import batch_sizes, of_own_batch
from bie.penalties.base import Penalty
from bie.schema import Float
from bie.seeds import Streams


@section
class Adversarial(ClassifierSection):
    """Section ``adversarial``."""

    critic_term = "cross_entropy"
    neutral: ClassVar = {"scale": 1.0, "ramp": "constant"}

    objective: Literal["reversal", "uniform", "wrong_class"]
    ramp: Literal["ganin", "constant"]
    dropout: Annotated[Float, Field(ge=0, lt=1)]


class Classifier(nn.Module):
    """A network from the latent vector to the log-probabilities of the batches.

    Parameters
    ----------
    n_latent, n_batches
        Inputs, classes.
    settings
        Section ``adversarial``: hidden layers (ELU; Clevert et al. 2016), their units, dropout.
    init
        Stream of the initial weights.
    """

    def __init__(self, n_latent: int, n_batches: int, settings: Adversarial, init: torch.Generator) -> None:
        super().__init__()
        self.network = Mlp((n_latent, *[settings.n_hidden] * settings.n_layers, n_batches), init)
        self.keep_prob = 1 - settings.dropout

    def forward(self, z_nd: Tensor, noise: Noise | None = None, frozen: bool = False) -> Tensor:
        """Map ``(..., n, d)`` to ``(..., n, b)``.

        Without `noise` no unit is dropped; of a `frozen` classifier the parameters get no gradient.
        """
        if noise and self.keep_prob < 1:
            return self._dropped(z_nd, noise).log_softmax(-1)
        logit_nb: Tensor = self.network(z_nd, frozen)
        return logit_nb.log_softmax(-1)

    def _dropped(self, h: Tensor, noise: Noise) -> Tensor:
        *hidden, (weight, bias) = self.network.layers
        for hidden_weight, hidden_bias in hidden:
            h = elu(h @ hidden_weight + hidden_bias)
            h = h * noise.keep(h.shape, self.keep_prob) / self.keep_prob
        return h @ weight + bias


class AdversarialPenalty(Penalty):
    """``scale * ramp * objective``, with the cross-entropy of the classifier's prediction to some target.

    ===============  ==============================================================================
    ``objective``    what the encoder minimises
    ===============  ==============================================================================
    ``reversal``     minus the cross-entropy to the true batch: its gradient is that of the
                     classifier with the sign reversed, times scale and ramp (Ganin et al. 2016)
    ``uniform``      cross-entropy to equal probabilities of all batches (Tzeng et al. 2015)
    ``wrong_class``  cross-entropy to equal probabilities of all batches but the true one, as
                     scvi-tools has it; of two batches that is the other one
    ===============  ==============================================================================

    ``ramp=ganin`` lets the weight grow with the training, ``2 / (1 + e^(-10 progress)) - 1``, from 0, so that
    the classifier knows something when the encoder begins to listen to it; ``constant`` is 1. Where batches
    differ strongly a ramp comes too late: once they lie apart in the latent space, the classifier is always
    right, and the gradient of its cross-entropy, whatever its sign, is 0 (docs/penalties.md).

    The batches of a minibatch count equally, however many cells they have there: a small one is a class like
    the others, to classifier and encoder, and where nothing can be told the classifier answers
    with equal probabilities, which is what ``uniform`` asks for.

    Parameters
    ----------
    settings
        Section ``adversarial`` of the configuration.
    n_latent, n_batches
        Latent dimensions, batches.
    init
        Stream of the classifier's initial weights.
    """

    def __init__(self, settings: Adversarial, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.objective, self.ramp = settings.objective, settings.ramp
        self.n_batches = n_batches
        self.classifier = Classifier(n_latent, n_batches, settings, init)

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Cross-entropy of the classifier, with dropout, to the true batches, nats."""
        return true_cross_entropy(self.classifier(z_nd, noise), batch_n)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, by the whole classifier without dropout.

        The history gets the cross-entropy to the true batches as ``cross_entropy``, nats: ln(batches) where
        the classifier cannot tell them apart, 0 where it is always right.
        """
        log_probability_nb: Tensor = self.classifier(z_nd, frozen=True)
        truth = true_cross_entropy(log_probability_nb, batch_n)
        objective = -truth if self.objective == "reversal" else self._distance(log_probability_nb, batch_n)
        return self.current_scale() * objective, {"cross_entropy": truth.detach()}

    def _distance(self, log_probability_nb: Tensor, batch_n: Tensor) -> Tensor:
        """From the probabilities that the encoder aims at."""
        true_nb = one_hot(batch_n, self.n_batches)
        target_nb = torch.ones_like(true_nb) if self.objective == "uniform" else 1 - true_nb
        return cross_entropy(log_probability_nb, target_nb, batch_n)

    def scale_factor(self) -> float:
        """The ramp, 0 to 1."""
        return math.tanh(5 * self.progress) if self.ramp == "ganin" else 1.0


def true_cross_entropy(log_probability_nb: Tensor, batch_n: Tensor) -> Tensor:
    """`cross_entropy` to the true batches, nats."""
    surprise_n = -of_own_batch(log_probability_nb, batch_n)
    return _mean_of_batches(surprise_n, batch_n, log_probability_nb.shape[-1])


def cross_entropy(log_probability_nb: Tensor, target_nb: Tensor, batch_n: Tensor) -> Tensor:
    """Mean over the batches present of the mean cross-entropy of their cells.

    Parameters
    ----------
    log_probability_nb
        Predictions.
    target_nb
        Weights of the classes in each cell's target; normalised to sum to 1.
    batch_n
        Batch codes.

    Returns
    -------
    Tensor
        Nats.
    """
    target_nb = target_nb / target_nb.sum(-1, keepdim=True)
    surprise_n = -(target_nb * log_probability_nb).sum(-1)
    return _mean_of_batches(surprise_n, batch_n, target_nb.shape[-1])


def _mean_of_batches(surprise_n: Tensor, batch_n: Tensor, n_batches: int) -> Tensor:
    size_b = batch_sizes(batch_n, n_batches)
    mean: Tensor = (surprise_n / size_b.gather(-1, batch_n)).sum(-1) / size_b.count_nonzero(-1)
    return mean


def build(settings: Adversarial, n_latent: int, n_batches: int, streams: Streams) -> AdversarialPenalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    return AdversarialPenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
