"""What trains: one run in compiled kernels, or any number of them by torch, on a device.

============ =========================================================================================
`compiled`   one run, in C kernels on the CPU, where there are kernels for its model
`stacked`    one run or many in one model with an axis of runs, by torch; on a GPU a step is a CUDA graph
============ =========================================================================================

Whether there are kernels is asked here, once for a training; `bie.training.penalty_kernels` knows those of
the penalties.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bie.data.cells import Cells
from bie.models.compiled import has_kernels
from bie.training.run import Progress, TrainingRun

if TYPE_CHECKING:
    from bie.training.graph import Replays

Build = Callable[[Sequence[Progress]], "Engine"]
"""Makes an engine for runs that are equally far."""


class Table(NamedTuple):
    """Terms of the loss of some minibatches: their names, and values ``(minibatches, terms, r)``."""

    names: list[str]
    values: Tensor


class Engine(Protocol):
    """Trains runs, which it was made for, an epoch at a time."""

    def epoch(self, rows_rn: NDArray[np.int64], sizes: Sequence[int], epoch: int) -> Table:
        """Take a step for each minibatch: the critic's, then one of the model.

        Parameters
        ----------
        rows_rn
            Training rows of each run, in the order of its minibatches.
        sizes
            Cells of each minibatch.
        epoch
            Counted from 0.

        Returns
        -------
        Table
            Terms of the loss before each step, nats per cell. With a critic that learns,
            ``critic_halvings`` among them.
        """

    def evaluate(self, rows_rn: NDArray[np.int64]) -> Table:
        """Terms of the loss on some cells of each run, `CHUNK` at a time, in evaluation mode.

        Nothing learns. Weights are those of the epoch that `epoch` was called for last; draws are the same
        at each call.
        """

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the runs only."""

    def run_state(self, place: int) -> dict[str, Any]:
        """State of one run, whose model and penalty are brought up to date.

        ``model``, ``optimiser`` (see `bie.training.optimiser.Moments`) and ``penalty``.
        """


def engines(cells: Cells, device: str, recorded: "Callable[[str], Replays | None] | None" = None) -> Build:
    """What makes engines for runs on these cells.

    Parameters
    ----------
    cells, device
        The data, where to train.
    recorded
        How steps are recorded on that device; None: as `bie.training.graph.replays` has it.
    """
    data: list[Any] = []

    def build(runs: Sequence[Progress]) -> Engine:
        plain = device == "cpu" and recorded is None
        if plain and len(runs) == 1 and _in_kernels(runs[0].run):
            from bie.training.compiled import Compiled

            return Compiled(runs[0], cells)
        from bie.training.batches import Mapped, Resident
        from bie.training.graph import replays
        from bie.training.stacked import Stacked

        how = (recorded or replays)(device)
        data[:] = data or [Resident.of(cells, device) if how else Mapped(cells)]
        return Stacked(runs, data[0], how)

    return build


def _in_kernels(run: TrainingRun) -> bool:
    """Whether there are kernels for a run: for its model, and for the sum of losses that a scale makes."""
    return has_kernels(run.model) and not (run.penalty and run.penalty.preference)
