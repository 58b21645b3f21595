"""Carry out a pack of tasks: each as `bie.sweep.worker.execute` would, but with their training in one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import torch

from bie import devices
from bie.errors import BadInput
from bie.experiment import Result
from bie.packed import Packed, experiments, room
from bie.store.claims import Claim
from bie.store.provenance import provenance
from bie.sweep.checkpoints import Checkpoints
from bie.sweep.packs import Pack, Packing, packable
from bie.sweep.scoring import End, Scorers, raising
from bie.sweep.task import Outcome, Task
from bie.sweep.worker import attempt, cells_on, claimed, execute, failed
from bie.training.graph import status

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
    with Packs(on_epoch, on_end, stop, launch, packing or Packing(len(pack))) as packs:
        packs.execute(dict(enumerate(pack)))


class Packs:
    """The packs of a process: one trains while the runs of the one before are scored. A context manager.

    Parameters
    ----------
    on_epoch, on_end, stop, launch, packing
        As for `execute_pack`; a place is a number that is one task's until it has ended.
    """

    def __init__(
        self,
        on_epoch: OnEpoch,
        on_end: OnEnd,
        stop: Callable[[], bool],
        launch: str | None,
        packing: Packing,
    ) -> None:
        torch.set_num_threads(1)
        self.on_end, self.stop, self.launch, self.packing = on_end, stop, launch, packing
        self.scorers = Scorers(packing.n_scorers)
        self._on_epoch = on_epoch
        self.held: dict[int, Claim] = {}

    def __enter__(self) -> "Packs":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self.scorers.finish()
        finally:
            self.scorers.stop()
            for claim in self.held.values():
                claim.release()

    def execute(self, tasks: Mapping[int, Task]) -> None:
        """Run the tasks of a pack, by place, but for scores that others may make meanwhile."""
        try:
            device = devices.chosen(self.packing.device)
        except BadInput as error:  # the node is not what the launch expected
            for place, task in tasks.items():
                self.on_end(place, failed(task, error))
            return
        alone = device == "cpu" and len(tasks) == 1
        if alone or not all(packable(task.config) for task in tasks.values()):
            for place, task in tasks.items():
                self.on_end(place, execute(task, partial(self.on_epoch, place), self.stop, self.launch))
            return
        torch.backends.cuda.matmul.allow_tf32 = self.packing.products == "tf32"
        together = _Together({place: t for place, t in tasks.items() if self._claim(place, t)}, self, device)
        for places in together.cut():
            together.run(places)

    def on_epoch(self, place: int, row: dict[str, float]) -> None:
        """Hand on how a run gets on, and see to those that are scored."""
        self.scorers.attend()
        self._on_epoch(place, row)

    def score_until(self, pipe: Connection) -> None:
        """See to the runs that are scored until there is something in the pipe."""
        while pipe not in wait([pipe, *self.scorers.pipes]):
            self.scorers.attend()

    def end(self, place: int, outcome: Outcome) -> None:
        """Give a run back."""
        self.held.pop(place).release()
        self.on_end(place, outcome)

    def _claim(self, place: int, task: Task) -> bool:
        claim = claimed(task, self.launch)
        if isinstance(claim, Outcome):
            self.on_end(place, claim)
            return False
        self.held[place] = claim
        return True


class _Together:
    """The runs of a pack that this process holds.

    Parameters
    ----------
    tasks
        By place.
    packs
        Of the process.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, tasks: Mapping[int, Task], packs: Packs, device: str) -> None:
        self.tasks, self.packs, self.device = tasks, packs, device

    def cut(self) -> Iterator[list[int]]:
        """Places that train at once: all, or as many as fit where nobody said a number."""
        places, size, packing = list(self.tasks), len(self.tasks), self.packs.packing
        if places and packing.size is None and self.device == "cuda":
            torch.cuda.empty_cache()  # what the pack before has left there is free, though not to the driver
            free, _ = torch.cuda.mem_get_info()
            cells = cells_on(self.tasks[places[0]].shelf)
            size = room(self._prepared(places[0], 1).run, cells, USABLE * free / packing.n_workers)
        for start in range(0, len(places), max(size, 1)):
            yield places[start : start + size]

    def run(self, places: Sequence[int]) -> None:
        """Train some of the runs together, then have them scored and recorded.

        An error of the whole, such as a full memory, is answered by two packs of half the size, and so on,
        until it is that of a single run, which it then ends.
        """
        shelf = self.tasks[places[0]].shelf
        prepared = [self._prepared(place, len(places)) for place in places]
        try:
            works = experiments([each.run for each in prepared], cells_on(shelf), self.device)
        except Exception as error:  # the border of a pack
            if len(places) == 1:
                prepared[0].end(raising(error))
                return
            works, said = [], f"{type(error).__name__}: {error}"
        if works:
            self.packs.scorers.begin_all()  # those of the pack before: two packs in memory are enough
            for work, each in zip(works, prepared, strict=True):
                self.packs.scorers.add(work, each.end)
            return
        half = len(places) // 2  # the error is gone by now, and with it the tensors that did not fit
        print(f"a pack of {len(places)} failed ({said}); now {half} and {len(places) - half}", flush=True)
        if self.device == "cuda":
            torch.cuda.empty_cache()
        self.run(places[:half])
        self.run(places[half:])

    def _prepared(self, place: int, n_runs: int) -> "_Prepared":
        task, packs = self.tasks[place], self.packs
        device = f"{self.device}, {_products()}" if self.device == "cuda" else self.device
        checkpoints = Checkpoints(task, packs.held[place], packs.stop, device, n_runs)

        def end(work: Callable[[], Result]) -> None:
            packs.end(place, attempt(task, work, checkpoints, self._made_by(n_runs)))

        return _Prepared(Packed(task.config, partial(packs.on_epoch, place), checkpoints), end)

    def _made_by(self, n_runs: int) -> dict[str, Any]:
        """What the provenance of a packed run says otherwise."""
        device = provenance()["device"]
        if self.device == "cuda":
            device = {"type": "cuda", "name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
            device["products"] = _products()
        return {"device": {**device, "pack": n_runs}, "kernels": status(self.device)}


class _Prepared(NamedTuple):
    """A run before its training, and how it will end."""

    run: Packed
    end: End


def _products() -> str:
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "float32"
