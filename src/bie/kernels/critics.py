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
from bie.kernels.native import bind, codes, sizes


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
        self._value, self._by = torch.empty(()), torch.empty(n, d)
        optimiser = learner.optimiser
        learns = learner.vector, optimiser.rule, optimiser.mean, optimiser.square
        self._learns, self._made = learns, (self._value, self._by)

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
        shape = learner.n_steps, n, d, columns, *learner.network(), least is not None, least or 0.0
        self._follow = bind("follow_bound", *shape, input_bc, *self._learns, *average, *self._made)

    def __call__(self, latent_nd: Tensor, batch_n: Tensor, orders: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The bound in the end, nats, and its gradient by the latent vectors, in memory that is used again.

        `orders` are permutations of the cells for each step, and one more for the judgement: whose batch a
        cell gets in the independent pairs.
        """
        self._follow(latent_nd.contiguous(), codes((batch_n, *orders)))
        return self._judgement()


class ClassFollower(Follower):
    """Steps on the gradient of the cross-entropy to the true classes, which count equally; then that."""

    def __init__(self, learner: Learner, n: int, d: int) -> None:
        super().__init__(learner, n, d)
        check_width(d, learner.widths)
        shape = learner.n_steps, n, *learner.network()
        self._follow = bind("follow_classes", *shape, *self._learns, *self._made)

    def __call__(self, z_nd: Tensor, class_n: Tensor) -> tuple[Tensor, Tensor]:
        """The cross-entropy in the end, nats, and its gradient, in memory that is used again."""
        self._follow(z_nd.contiguous(), codes((class_n,)))
        return self._judgement()


F = TypeVar("F", bound=Follower)


class Followers(Generic[F]):
    """Those of a critic by shapes of latent vectors, for the optimiser that it has now.

    Parameters
    ----------
    make
        From an optimiser and latent vectors, None where there is no kernel for them.
    """

    def __init__(self, make: Callable[[object, Tensor], F | None]) -> None:
        self._make, self._of = make, dict[torch.Size, F | None]()
        self._optimiser: object = None

    def of(self, optimiser: object, latent_nd: Tensor) -> F | None:
        """The one for these latent vectors."""
        if optimiser is not self._optimiser:
            self._optimiser, self._of = optimiser, {}
        shape = latent_nd.shape
        if shape not in self._of:
            self._of[shape] = self._make(optimiser, latent_nd)
        return self._of[shape]
