"""Which penalties have compiled kernels, and what these do; defined by `Critics` with the penalty alone.

A penalty is formulas. What is faster than autograd by them is here, for one run alone in single precision on
the CPU, and asked for once.
"""

from torch import Tensor

from bie.kernels import mmd as mmd_kernel
from bie.kernels.adam import CompiledAdam
from bie.kernels.critics import (
    ClassifierKernel,
    CriticKernels,
    Learner,
    MineKernel,
    cross_entropy_value,
    dv_bound_value,
)
from bie.kernels.native import is_active, is_float32_cpu
from bie.mutual_information.critics import Mlp, SeparableCritic
from bie.mutual_information.estimators import dv_bound
from bie.penalties.adversarial import AdversarialPenalty
from bie.penalties.base import Penalty
from bie.penalties.mine import LEAST_VARIANCE, MinePenalty
from bie.penalties.mmd import WIDTHS, MmdPenalty
from bie.training.critic import EncoderLoss, Kernel
from bie.training.learner import Solo
from bie.training.run import TrainingRun

Evaluated = tuple[Tensor, dict[str, Tensor]]


def kernel_of(run: TrainingRun, critic: Solo) -> Kernel | None:
    """That of a run's penalty, whose critic `critic` trains; None: there is none for it."""
    if run.penalty is None or not (is_active() and all(map(is_float32_cpu, run.model.parameters()))):
        return None
    return penalty_kernel(run.penalty, critic)


def penalty_kernel(penalty: Penalty, critic: Solo) -> Kernel | None:
    """The same, where there are kernels for such numbers."""
    if isinstance(penalty, MmdPenalty) and not penalty.fast:
        return MmdByKernel(penalty)
    if isinstance(penalty, AdversarialPenalty):
        return AdversaryByKernel(penalty, critic)
    if isinstance(penalty, MinePenalty) and penalty.bound is dv_bound:
        return MineByKernel(penalty, critic) if isinstance(penalty.critic, SeparableCritic) else None
    return None


class MineByKernel(Kernel):
    """The separable critic under the bound of Donsker and Varadhan."""

    learns = True

    def __init__(self, penalty: MinePenalty, critic: Solo) -> None:
        assert isinstance(penalty.critic, SeparableCritic)
        self._penalty, self._critic, self._network = penalty, critic, penalty.critic.network
        self._kernels = CriticKernels(self._made)

    def _made(self, optimiser: CompiledAdam, latent_nd: Tensor) -> MineKernel:
        (n, d), epsilon = latent_nd.shape, LEAST_VARIANCE if self._penalty.of_means else None
        learner = _learner(self._network, optimiser, self._penalty)
        return MineKernel(learner, n, d, self._penalty.average.state(), epsilon)

    def learn(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> EncoderLoss:
        """See `Kernel`; the latent vectors are standardised on the way."""
        penalty = self._penalty
        latent_nd = mean_nd if penalty.of_means else z_nd
        bound, grad_nd = self._kernels.of(self._critic.optimiser, latent_nd)(latent_nd, batch_n)
        scale = 0.0 if bound <= 0 else penalty.current_scale()  # an estimate below 0 moves nothing
        grad_nd = scale * grad_nd
        grads = (None, grad_nd) if penalty.of_means else (grad_nd, None)
        return EncoderLoss(scale * bound, {"mine": bound}, *grads)

    def evaluate(self, seen_nd: Tensor, batch_n: Tensor) -> Evaluated:
        """See `Kernel`."""
        bound = dv_bound_value(self._network.vector, self._network.widths, seen_nd, batch_n)
        return self._penalty.current_scale() * bound.relu(), {"mine": bound}


class AdversaryByKernel(Kernel):
    """A classifier, which learns here without dropout; the reversal of its loss is the encoder's."""

    def __init__(self, penalty: AdversarialPenalty, critic: Solo) -> None:
        self._penalty, self._critic, self._network = penalty, critic, penalty.classifier.network
        self._reverses, self.learns = penalty.objective == "reversal", penalty.classifier.keep_prob == 1
        self._kernels = CriticKernels(self._made)

    def _made(self, optimiser: CompiledAdam, z_nd: Tensor) -> ClassifierKernel:
        return ClassifierKernel(_learner(self._network, optimiser, self._penalty), *z_nd.shape)

    def learn(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> EncoderLoss | None:
        """See `Kernel`."""
        truth, grad_z_nd = self._kernels.of(self._critic.optimiser, z_nd)(z_nd, batch_n)
        if not self._reverses:
            return None
        factor = -self._penalty.current_scale()
        return EncoderLoss(factor * truth, {"cross_entropy": truth}, factor * grad_z_nd, None)

    def evaluate(self, seen_nd: Tensor, batch_n: Tensor) -> Evaluated | None:
        """See `Kernel`."""
        if not self._reverses:
            return None
        truth = cross_entropy_value(self._network.vector, self._network.widths, seen_nd, batch_n)
        return -self._penalty.current_scale() * truth, {"cross_entropy": truth}


class MmdByKernel(Kernel):
    """The V-statistic, with its gradient."""

    learns = True

    def __init__(self, penalty: MmdPenalty) -> None:
        self._penalty = penalty
        self._how = penalty.n_batches, penalty.pairs, WIDTHS.get(penalty.bandwidth, ())

    def learn(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> EncoderLoss:
        """See `Kernel`; nothing learns."""
        mmd, grad_z_nd = mmd_kernel.v_statistic(z_nd, batch_n, *self._how)
        scale = self._penalty.current_scale()
        return EncoderLoss(scale * mmd, self._penalty.terms(mmd, z_nd), scale * grad_z_nd, None)

    def evaluate(self, seen_nd: Tensor, batch_n: Tensor) -> Evaluated:
        """See `Kernel`."""
        return self.learn(seen_nd, seen_nd, batch_n)[:2]


def _learner(network: Mlp, optimiser: CompiledAdam, penalty: Penalty) -> Learner:
    return Learner(network.vector, network.widths, optimiser, penalty.critic_steps)
