"""All updates of a critic on a minibatch, then its value and its gradient w.r.t. the latent vectors.

In one call, since a single update takes longer to be called than to be done. Defined by
`bie.training.critic.Critics` with the penalty alone.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.mlp import check_width
from bie.kernels.native import bind, call, codes, sizes


class Average(NamedTuple):
    """State of a `bie.mutual_information.estimators.LogMovingAverage`, numbers in single precision."""

    log_rate: Tensor
    log_decay: Tensor
    n_updates: Tensor
    log_sum: Tensor


class Learner(NamedTuple):
    """A network and its optimiser, both of which change where they are in memory.

    Attributes
    ----------
    vector, widths
        As for `bie.kernels.mlp.mlp`.
    optimiser, n_steps
        On each minibatch; none for a network that is only asked.
    """

    vector: Tensor
    widths: tuple[int, ...]
    optimiser: CompiledAdam | None = None
    n_steps: int = 0

    def arguments(self) -> tuple[object, ...]:
        """Of a kernel: number of layers, widths, parameters, optimiser and its moments."""
        adam = self.optimiser
        state = (adam.rule, adam.mean, adam.square) if adam else (None, None, None)
        return len(self.widths) - 1, sizes(self.widths), self.vector, *state


class MineKernel:
    """Steps on the gradient of ``critic_objective``, then ``dv_bound`` (`bie.mutual_information.estimators`).

    Parameters
    ----------
    learner
        A separable critic.
    n, d
        Cells of a minibatch, latent dimensions.
    average
        Updated by the scores of each step.
    epsilon
        What is added to the variances by which latent vectors are standardised; None: they are seen as they
        are.
    """

    def __init__(self, learner: Learner, n: int, d: int, average: Average, epsilon: float | None) -> None:
        check_width(d, learner.widths)
        self._bound, self._grad = torch.empty(()), torch.empty(n, d)
        shape = learner.n_steps, n, d, epsilon is not None, epsilon or 0.0
        self._kernel = bind("mine", *shape, *learner.arguments(), *average, self._bound, self._grad)

    def __call__(self, latent_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, Tensor]:
        """The bound after the steps, nats, and its gradient ``(n, d)``, in memory that is used again."""
        self._kernel(latent_nd.contiguous(), codes(batch_n))
        return self._bound.clone(), self._grad


class ClassifierKernel:
    """Steps on the gradient of the cross-entropy to the true classes, which count equally; then that.

    Parameters
    ----------
    learner
        A classifier of latent vectors.
    n, d
        Cells of a minibatch, latent dimensions.
    """

    def __init__(self, learner: Learner, n: int, d: int) -> None:
        check_width(d, learner.widths)
        self._value, self._grad = torch.empty(()), torch.empty(n, d)
        self._kernel = bind("classifier", learner.n_steps, n, *learner.arguments(), self._value, self._grad)

    def __call__(self, z_nd: Tensor, class_n: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-entropy after the steps, nats, and its gradient, in memory that is used again."""
        self._kernel(z_nd.contiguous(), codes(class_n))
        return self._value.clone(), self._grad


def dv_bound_value(vector: Tensor, widths: tuple[int, ...], z_nd: Tensor, batch_n: Tensor) -> Tensor:
    """``dv_bound`` of latent vectors by a separable critic as it is, nats, without gradient."""
    (n, d), value, asked = z_nd.shape, torch.empty(()), Learner(vector, widths).arguments()
    check_width(d, widths)
    no_average = (None,) * len(Average._fields)
    call("mine", 0, n, d, False, 0.0, *asked, *no_average, value, None, z_nd.contiguous(), codes(batch_n))
    return value


def cross_entropy_value(vector: Tensor, widths: tuple[int, ...], z_nd: Tensor, class_n: Tensor) -> Tensor:
    """The cross-entropy to the true classes by a classifier as it is, nats, without gradient."""
    (n, d), value, asked = z_nd.shape, torch.empty(()), Learner(vector, widths).arguments()
    check_width(d, widths)
    call("classifier", 0, n, *asked, value, None, z_nd.contiguous(), codes(class_n))
    return value


Kernel = TypeVar("Kernel")


class CriticKernels(Generic[Kernel]):
    """The kernels of a critic by the shape of the latent vectors, for the optimiser that it has now.

    Parameters
    ----------
    make
        From an optimiser and latent vectors.
    """

    def __init__(self, make: Callable[[CompiledAdam, Tensor], Kernel]) -> None:
        self._make, self._known = make, dict[torch.Size, Kernel]()
        self._optimiser: object = None

    def of(self, optimiser: object, latent_nd: Tensor) -> Kernel:
        """The kernel bound for latent vectors of this shape, made at first use."""
        assert isinstance(optimiser, CompiledAdam)
        if optimiser is not self._optimiser:
            self._optimiser, self._known = optimiser, {}
        shape = latent_nd.shape
        if shape not in self._known:
            self._known[shape] = self._make(optimiser, latent_nd)
        return self._known[shape]
