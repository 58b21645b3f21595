"""All that a minibatch means to a critic, and the critic to the encoder, in one call.

Defined by `Penalty.follow` (`bie.penalties.base`): what the critic sees, its steps, its judgement in the end.
A step by itself takes longer to be called than to be done.
"""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from bie.kernels.adam import CompiledAdam
from bie.kernels.mlp import check_width
from bie.kernels.native import bind, sizes


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
    n_steps
        On each minibatch.
    """

    vector: Tensor
    widths: tuple[int, ...]
    optimiser: CompiledAdam
    n_steps: int

    def network(self) -> tuple[object, ...]:
        """Number of layers, and widths, as arguments of a kernel."""
        return len(self.widths) - 1, sizes(self.widths)


class Follower:
    """A critic on minibatches of n cells, on memory that stays where it is.

    Parameters
    ----------
    learner
        The critic.
    n, d
        Cells, latent dimensions.
    """

    def __init__(self, learner: Learner, n: int, d: int) -> None:
        self._learner = learner
        self._numbers, self._batch_n = torch.empty(learner.n_steps, 5), torch.empty(n, dtype=torch.int32)
        self._rows = self._numbers.numpy()  # the same memory
        self._value, self._by = torch.empty(()), torch.empty(n, d)
        optimiser = learner.optimiser
        self._learns = learner.vector, self._numbers, optimiser.mean, optimiser.square

    def _see(self, batch_n: Tensor) -> None:
        self._rows[:] = self._learner.optimiser.next_numbers(self._learner.n_steps)
        self._batch_n.copy_(batch_n)

    def _judgement(self) -> tuple[Tensor, Tensor]:
        return self._value.clone(), self._by


class BoundFollower(Follower):
    """Steps on the gradient of ``critic_objective``, then ``dv_bound`` (`bie.mutual_information.estimators`).

    Parameters
    ----------
    learner, n, d
        As for `Follower`; a critic of a latent vector and a batch, side by side.
    input_bc
        What the critic sees of each batch.
    average
        Updated by the scores of each step.
    least
        What is added to the variances by which latent vectors are standardised; None: they are seen as they
        are.
    """

    def __init__(
        self, learner: Learner, n: int, d: int, input_bc: Tensor, average: Average, least: float | None
    ) -> None:
        super().__init__(learner, n, d)
        columns = input_bc.shape[1]
        check_width(d + columns, learner.widths)
        self._orders = torch.empty(learner.n_steps + 1, n, dtype=torch.int32)
        shape = learner.n_steps, n, d, columns, *learner.network(), least is not None, least or 0.0
        given = *average, self._batch_n, self._orders, self._value, self._by
        self._follow = bind("follow_bound", *shape, input_bc, *self._learns, *given)

    def __call__(self, latent_nd: Tensor, batch_n: Tensor, orders: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The bound in the end, nats, and its gradient by the latent vectors, in memory that is used again.

        `orders` are permutations of the cells for each step, and one more for the judgement: whose batch a
        cell gets in the independent pairs.
        """
        self._see(batch_n)
        self._orders.copy_(torch.stack([*orders]))
        self._follow(latent_nd.contiguous())
        return self._judgement()


class ClassFollower(Follower):
    """Steps on the gradient of the cross-entropy to the true classes, which count equally; then that."""

    def __init__(self, learner: Learner, n: int, d: int) -> None:
        super().__init__(learner, n, d)
        check_width(d, learner.widths)
        shape = learner.n_steps, n, *learner.network()
        self._follow = bind("follow_classes", *shape, *self._learns, self._batch_n, self._value, self._by)

    def __call__(self, z_nd: Tensor, class_n: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-entropy in the end, nats, and its gradient, in memory that is used again."""
        self._see(class_n)
        self._follow(z_nd.contiguous())
        return self._judgement()


F = TypeVar("F", bound=Follower)


class Followers(Generic[F]):
    """Those of a critic by numbers of cells and latent dimensions, for the optimiser that it has now."""

    def __init__(self, make: Callable[[CompiledAdam, int, int], F]) -> None:
        self._make, self._of = make, dict[tuple[int, int], F]()
        self._optimiser: CompiledAdam | None = None

    def of(self, optimiser: CompiledAdam, latent_nd: Tensor) -> F:
        """The one for these latent vectors."""
        if optimiser is not self._optimiser:
            self._optimiser, self._of = optimiser, {}
        n, d = latent_nd.shape
        if (n, d) not in self._of:
            self._of[n, d] = self._make(optimiser, n, d)
        return self._of[n, d]
