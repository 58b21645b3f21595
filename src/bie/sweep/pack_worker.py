"""Carry out a pack of tasks: each as `bie.sweep.worker.execute` would, but with their training in one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NoReturn

import torch

from bie import devices
from bie.errors import BadInput
from bie.packed import Packed, experiments, room
from bie.store.claims import Claim
from bie.store.provenance import provenance
from bie.sweep.checkpoints import Checkpoints
from bie.sweep.packs import Pack, Packing, packable
from bie.sweep.task import Outcome, Task
from bie.sweep.worker import attempt, cells_on, claimed, execute, failed

USABLE = 0.8
"""Share of a GPU's free memory that packs of unsaid size are made for."""

OnEpoch = Callable[[int, dict[str, float]], None]
OnEnd = Callable[[int, Outcome], None]


def execute_pack(
    pack: Pack,
    on_epoch: OnEpoch,
    on_end: OnEnd,
    stop: Callable[[], bool] = lambda: False,
    launch: str | None = None,
    packing: Packing | None = None,
) -> None:
    """Run the tasks of a pack, but those that are done or that somebody else is at.

    Parameters
    ----------
    pack
        What to run.
    on_epoch, on_end
        Called with the place of a task in the pack and each row of its history, or how it ended: once for
        every task, as soon as it is known.
    stop, launch
        As for `execute`.
    packing
        Where to train and how many at once; None: on the CPU, all.
    """
    torch.set_num_threads(1)
    packing = packing or Packing(len(pack))
    try:
        device = devices.chosen(packing.device)
    except BadInput as error:  # the node is not what the launch expected
        for place, task in enumerate(pack):
            on_end(place, failed(task, error))
        return
    if not packable(pack[0].config) or (device == "cpu" and len(pack) == 1):
        for place, task in enumerate(pack):
            on_end(place, execute(task, partial(on_epoch, place), stop, launch))
        return
    with ExitStack() as stack:
        held: dict[int, Claim] = {}
        for place, task in enumerate(pack):
            claim = claimed(task, launch)
            if isinstance(claim, Outcome):
                on_end(place, claim)
            else:
                held[place] = stack.enter_context(claim)
        together = _Together(pack, held, on_epoch, on_end, stop, device)
        for places in together.cut(packing):
            together.run(places)


class _Together:
    """The runs of a pack that this process holds.

    Parameters
    ----------
    pack
        All tasks.
    held
        Claims by place in the pack.
    on_epoch, on_end, stop
        As for `execute_pack`.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(
        self,
        pack: Pack,
        held: dict[int, Claim],
        on_epoch: OnEpoch,
        on_end: OnEnd,
        stop: Callable[[], bool],
        device: str,
    ) -> None:
        self.pack, self.held, self.stop, self.device = pack, held, stop, device
        self.on_epoch, self.on_end = on_epoch, on_end

    def cut(self, packing: Packing) -> Iterator[list[int]]:
        """Places that train at once: all, or as many as fit where nobody said a number."""
        places, size = list(self.held), len(self.held)
        if places and packing.size is None and self.device == "cuda":
            free, _ = torch.cuda.mem_get_info()
            first, cells = self.pack[places[0]], cells_on(self.pack[places[0]].shelf)
            size = room(self._packed(places[0], first, 1)[0], cells, USABLE * free / packing.n_workers)
        for start in range(0, len(places), max(size, 1)):
            yield places[start : start + size]

    def run(self, places: Sequence[int]) -> None:
        """Train some of the runs together, then score and record one after the other.

        An error of the whole, such as a full memory, is answered by two packs of half the size, and so on,
        until it is that of a single run, which it then ends.
        """
        shelf = self.pack[places[0]].shelf
        prepared = [self._packed(place, self.pack[place], len(places)) for place in places]
        try:
            works = experiments([run for run, _ in prepared], cells_on(shelf), self.device)
        except Exception as error:  # the border of a pack
            works = [partial(_raise, error)] if len(places) == 1 else []
            said = f"{type(error).__name__}: {error}"
        if works:
            for place, work, (_, checkpoints) in zip(places, works, prepared, strict=True):
                self._end(place, attempt(self.pack[place], work, checkpoints, self._made_by(len(places))))
            return
        half = len(places) // 2  # the error is gone by now, and with it the tensors that did not fit
        print(f"a pack of {len(places)} failed ({said}); now {half} and {len(places) - half}", flush=True)
        if self.device == "cuda":
            torch.cuda.empty_cache()
        self.run(places[:half])
        self.run(places[half:])

    def _packed(self, place: int, task: Task, n_runs: int) -> tuple[Packed, Checkpoints]:
        checkpoints = Checkpoints(task, self.held[place], self.stop, self.device, n_runs)
        return Packed(task.config, partial(self.on_epoch, place), checkpoints), checkpoints

    def _end(self, place: int, outcome: Outcome) -> None:
        self.held[place].release()
        self.on_end(place, outcome)

    def _made_by(self, n_runs: int) -> dict[str, Any]:
        """What the provenance of a packed run says otherwise."""
        device = provenance()["device"]
        if self.device == "cuda":
            device = {"type": "cuda", "name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        return {"device": {**device, "pack": n_runs}, "kernels": "torch, as for every pack"}


def _raise(error: Exception) -> NoReturn:
    raise error
