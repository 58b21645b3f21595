"""Steps of a pack that are recorded once for each number of cells and replayed from then on.

On a GPU a step is hundreds of operations, each of which takes longer to be asked for than to be done. A CUDA
graph asks for all of them at once. It repeats what was recorded to the letter: the same operations on the
same memory. So whatever changes from step to step lies in memory that is filled before it: rows, noise, and
what the pack keeps up to date by itself (KL weights, scales of penalties, numbers of steps).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from bie.kernels import are_wanted, fused
from bie.models.noise import Noise
from bie.training.draws import Drawing, DrawRecorder, Generators, PredrawnNoise, in_blocks
from bie.training.engine import Table

BLOCK = 16
"""Steps whose noise is drawn in one call. Changing it changes the random numbers of a run on a GPU."""

WARM_UPS = 2
"""Steps before one is captured, in which libraries and compilers set themselves up."""


Terms = dict[str, Tensor]
"""Terms of one minibatch, each ``(r,)``."""


class Step(Protocol):
    """A step of a pack."""

    def __call__(self, rows_rn: Tensor, noises: Sequence[Noise]) -> Terms:
        """Take it on the cells at these rows, with draws from these streams."""


def eager(step: Step, rows_rn: Tensor, sizes: Sequence[int], noises: Sequence[Noise]) -> Table:
    """Take a step for each minibatch, each operation when its turn comes (PyTorch's eager mode).

    Parameters
    ----------
    step
        To be taken.
    rows_rn
        Rows of all the minibatches, one after the other.
    sizes
        Cells of each.
    noises
        Streams that the steps draw from.
    """
    terms = [step(part_rn, noises) for part_rn in torch.split(rows_rn, list(sizes), -1)]
    return Table(list(terms[0]), torch.stack([values(each) for each in terms]))


def values(terms: Terms) -> Tensor:
    """The terms of a minibatch without their names, ``(terms, r)``."""
    return torch.stack(list(terms.values()))


class Recorder(Protocol):
    """Records what is done on a device."""

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Do the work, perhaps several times, and return what replays it.

        What it works on stays where it is in memory; the result is in the same memory every time.
        """


class CudaGraphs:
    """Records CUDA graphs, which share the memory that they work in.

    With the last of them that memory is gone: what comes after needs a recorder of its own.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Recorder.record`."""
        # A capture needs a stream of its own, and warm-ups on such a one (PyTorch, CUDA semantics): what
        # libraries allocate and compile at first use would otherwise be captured, or forbid the capture.
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            result = work()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay


class Unrecorded:
    """Records nothing: to replay is to do the work again, operation by operation."""

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Recorder.record`."""
        return work


class Replays:
    """Takes the steps of a pack by recordings.

    Parameters
    ----------
    recorder
        Makes what records them, anew whenever all recordings are forgotten.
    drawing
        How their noise is drawn.
    """

    def __init__(self, recorder: Callable[[], Recorder], drawing: Drawing = in_blocks) -> None:
        self._new_recorder, self._drawing = recorder, drawing
        self._known: dict[tuple[str, int], _Recorded] = {}
        self._recorder = recorder()

    def forget(self) -> None:
        """Record anew: the tensors of the pack have moved."""
        self._known.clear()
        self._recorder = self._new_recorder()

    def table(
        self,
        name: str,
        step: Step,
        state: Sequence[Tensor],
        rows_rn: Tensor,
        sizes: Sequence[int],
        streams: Sequence[Generators],
    ) -> Table:
        """As `eager`.

        Parameters
        ----------
        name, step
            One name for each kind of step.
        state
            All that the step changes: after a recording it is what it was before.
        rows_rn, sizes
            As for `eager`.
        streams
            For each stream that the steps draw from, the generators of the runs.
        """
        found, start = list[Tensor](), 0
        for size, n_steps in _blocks(sizes):
            recorded = self._recorded(name, step, state, rows_rn[:, start : start + size], streams)
            tables = [
                self._drawing(generators, noise.draws, n_steps)
                for generators, noise in zip(streams, recorded.noises, strict=True)
            ]
            for place in range(n_steps):
                recorded.rows_rn.copy_(rows_rn[:, start : start + size])
                for noise, table in zip(recorded.noises, tables, strict=True):
                    noise.fill(table, place)
                found.append(recorded.replay().clone())
                start += size
        return Table(recorded.names, torch.stack(found))

    def _recorded(
        self, name: str, step: Step, state: Sequence[Tensor], rows_rn: Tensor, streams: Sequence[Generators]
    ) -> "_Recorded":
        key = name, rows_rn.shape[-1]
        if key not in self._known:
            before = [tensor.detach().clone() for tensor in state]
            self._known[key] = _Recorded(step, rows_rn.clone(), len(streams), self._recorder)
            with torch.no_grad():  # warm-ups took steps: undo them, in place, where the graph reads
                for tensor, value in zip(state, before, strict=True):
                    tensor.copy_(value)
        return self._known[key]


class _Recorded:
    """A step on minibatches of one size, and the memory of what differs from one to the next.

    Parameters
    ----------
    step
        To be recorded.
    rows_rn
        Rows of a minibatch; the memory for those to come.
    n_streams
        Streams that the step draws from.
    recorder
        Records it.
    """

    def __init__(self, step: Step, rows_rn: Tensor, n_streams: int, recorder: Recorder) -> None:
        self.rows_rn = rows_rn
        place = len(rows_rn), rows_rn.device
        dry = [DrawRecorder(*place) for _ in range(n_streams)]
        self.names = list(step(rows_rn, dry))
        self.noises = [PredrawnNoise(each.draws, *place) for each in dry]
        self.replay = recorder.record(lambda: values(step(rows_rn, [each.rewound() for each in self.noises])))


def _blocks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut minibatches of one size that follow each other into blocks: their size, and how many they are."""
    for size, alike in groupby(sizes):
        n_left = len(list(alike))
        while n_left:
            yield size, min(n_left, BLOCK)
            n_left -= min(n_left, BLOCK)


def replays(device: str) -> Replays | None:
    """How a pack takes its steps: None on a CPU, one after the other; on a GPU always `Replays`.

    So that the draws on a GPU do not depend on whether CUDA graphs are wanted.
    """
    if device == "cpu":
        return None
    return Replays(CudaGraphs if are_wanted() else Unrecorded)


def status(device: str) -> str:
    """Which operations train a pack on a device, in one line."""
    if device == "cpu":
        return "torch, as every pack on a CPU"
    if not are_wanted():
        return "torch, as BIE_KERNELS=torch asks for"
    return f"CUDA graphs, likelihood by {fused.status(device)}"
