"""MINE: penalises the mutual information of latent vector and batch, estimated by a trained critic.

Belghazi et al. 2018 (MINE: Mutual Information Neural Estimation, ICML). The critic climbs a lower bound on
I(z; batch), the encoder descends it.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call

from bie.config.penalties import PenaltySection
from bie.config.sections import section
from bie.errors import BadInput
from bie.models.noise import Noise
from bie.mutual_information import build_critic
from bie.mutual_information.critics import SeparableCritic
from bie.mutual_information.estimators import (
    BOUNDS,
    LogMovingAverage,
    critic_objective,
    dv_bound,
    infonce_bound,
    log_mean_exp,
)
from bie.mutual_information.pairs import batch_inputs, contrasted, shuffled, with_each_batch
from bie.penalties.base import Penalty
from bie.penalties.untrained import UntrainedPenalty
from bie.schema import Count, Float, Int, Positive
from bie.seeds import Streams

LEAST_VARIANCE = 1e-5
"""Of a dimension of the latent vector that says anything; what is less is not blown up to noise."""


@section
class Mine(PenaltySection):
    """Section ``mine``."""

    free = ("scale", "lr", "ema")
    critic_term = "mine"
    neutral: ClassVar = {"scale": 1.0, "warm_start": 0}

    critic: Literal["separable", "mlp", "mine_net", "mine_net2", "mine_net3", "mine_net4"]
    n_hidden: Count
    n_layers: Count
    batch_input: Literal["onehot", "raw"]
    latent: Literal["mean", "sample"]
    critic_training: Literal["adam", "none"]
    estimator: Literal["dv", "nwj", "infonce"]
    lr: Positive
    steps: Count
    ema: Annotated[Float, Field(gt=0, le=1)]
    warm_start: Annotated[Int, Field(ge=0)]

    @property
    def packs(self) -> bool:
        """Not with the critic of the 2019 study, which is drawn anew for every minibatch."""
        return self.critic_training != "none"

    @property
    def sees(self) -> Literal["onehot", "raw"]:
        """What the critic gets of a batch: for the separable one it is a column of scores."""
        return "onehot" if self.critic == "separable" else self.batch_input

    def inactive(self) -> dict[str, str]:
        """Some critics have an input or sizes of their own; one that does not train needs no way to do so."""
        own = {"separable": ["batch_input"], "mine_net3": ["n_layers"], "mine_net4": ["n_hidden", "n_layers"]}
        unused = dict.fromkeys(own.get(self.critic, []), f"critic={self.critic}")
        if self.critic_training == "none":
            training = ["latent", "estimator", "lr", "steps", "ema", "warm_start"]
            return unused | dict.fromkeys(training, "critic_training=none")
        unused |= super().inactive()
        return unused if self.estimator == "dv" else unused | {"ema": f"estimator={self.estimator}"}

    def check(self, epochs: int) -> None:
        """Not if it warms up for all of them, or a preference goes by a critic that nobody trains."""
        super().check(epochs)
        if self.preference is not None and self.critic_training == "none":
            raise BadInput(
                f"mine.preference={self.preference:g}: mine.critic_training=none measures nothing that "
                "could be preferred. Use mine.critic_training=adam, or mine.scale alone"
            )
        if self.warm_start >= epochs and self.preference is None:
            raise BadInput(
                f"mine.warm_start={self.warm_start}: the penalty would never act; "
                f"the model trains for train.epochs={epochs}"
            )


class MinePenalty(Penalty):
    """``scale * max(0, bound on I(z; batch))``, and nothing in the first `warm_start` epochs.

    What carries the batch to those who use an embedding are the posterior means (``latent=mean``), and they
    can tell more of it than a sample (``latent=sample``), which hides a shift that is small beside its noise.
    Nor is there noise that would give their scale a meaning, so that the critic gets them standardised: the
    mutual information is that of any scale, and dimensions of small variance are seen as well as the others.

    Pairs that belong together are the cells of a minibatch. Independent pairs are each latent vector with
    the batches of all cells (`contrasted`) if the critic is separable, which gives their scores at once, and
    for ``infonce``; else the same latent vectors with the batches in random order. A mutual information is
    never negative: an estimate below 0 says that the critic is behind, and an encoder that followed it
    further down would be paid for confusing the critic, not for forgetting the batch. There it rests, until
    the critic has caught up.

    Parameters
    ----------
    settings
        Section ``mine``.
    n_latent, n_batches
        Latent dimensions, batches.
    init
        Stream of the critic's initial weights.
    """

    input_bc: Tensor

    def __init__(self, settings: Mine, n_latent: int, n_batches: int, init: torch.Generator) -> None:
        super().__init__()
        self.scale, self.critic_steps, self.critic_lr = settings.scale, settings.steps, settings.lr
        self.of_means = settings.latent == "mean"
        self.warm_start, self.bound = settings.warm_start, BOUNDS[settings.estimator]
        self.register_buffer("input_bc", batch_inputs(n_batches, settings.sees), persistent=False)
        columns = n_latent, self.input_bc.shape[-1]
        self.critic = build_critic(settings.critic, *columns, settings.n_hidden, settings.n_layers, init)
        self.average = LogMovingAverage(settings.ema)

    def critic_input(self, z_nd: Tensor, mean_nd: Tensor) -> Tensor:
        """Samples, or the means standardised over the cells of the minibatch."""
        return standardised(mean_nd) if self.of_means else z_nd

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        """Minus the bound; for ``dv`` by the gradient that minibatches do not bias."""
        joint_n, marginal = self._scores(self.critic, z_nd, batch_n, noise)
        if self.bound is not dv_bound:
            return -self.bound(joint_n, marginal)
        log_average = self.average.update(log_mean_exp(marginal.detach()))
        return critic_objective(joint_n, marginal, log_average)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """``scale`` times the bound, at least 0; the history gets the bound itself as ``mine``, nats."""
        bound = self.bound(*self._scores(self._frozen, z_nd, batch_n, noise))
        return self.current_scale() * bound.relu(), {"mine": bound.detach()}

    def scale_factor(self) -> float:
        """0 in the epochs of the warm start, then 1."""
        return float(self.epoch >= self.warm_start)

    def _frozen(self, *rows: Tensor) -> Tensor:
        """The critic as a function of its inputs alone."""
        tensors = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        tensors |= {name: moments.clone() for name, moments in self.critic.named_buffers()}
        scores: Tensor = functional_call(self.critic, tensors, rows)
        return scores

    def _scores(
        self, critic: Callable[..., Tensor], z_nd: Tensor, batch_n: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Of pairs that belong together, and of independent ones, as the bound takes them."""
        separable, infonce = isinstance(self.critic, SeparableCritic), self.bound is infonce_bound
        if not (separable or infonce):
            order = noise.permutation(batch_n.shape[-1])
            joint_n, marginal_n = critic(*shuffled(z_nd, batch_n, self.input_bc, order)).chunk(2, -1)
            return joint_n, marginal_n
        score_nb = critic(z_nd) if separable else with_each_batch(critic, z_nd, self.input_bc)
        joint_n, marginal_nb = contrasted(score_nb, batch_n)
        return joint_n, marginal_nb if infonce else marginal_nb.flatten(-2)


def standardised(x_nd: Tensor) -> Tensor:
    """Each dimension ``(..., n, d)`` with mean 0 and variance 1 over the cells, if it varies at all."""
    variance, mean = torch.var_mean(x_nd, dim=-2, correction=0, keepdim=True)
    return (x_nd - mean) * (variance + LEAST_VARIANCE).rsqrt()


def build(settings: Mine, n_latent: int, n_batches: int, streams: Streams) -> Penalty:
    """Build the penalty of a run; see `bie.penalties.build_penalty`."""
    if settings.critic_training == "none":
        return UntrainedPenalty(settings, n_latent, n_batches)
    return MinePenalty(settings, n_latent, n_batches, streams.torch("penalty init"))
