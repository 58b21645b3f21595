"""Carry out runs: train those of a pack in one, one alone as a pack of one, then score and record each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from bie import devices
from bie.errors import BadInput
from bie.execution.checkpoints import Checkpoints
from bie.execution.packs import Pack, Packing, max_pack_size, packable
from bie.execution.recording import attempt, cause_of, cells_on, claimed, failed, message_of
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.scoring import End, Scorers, raising
from bie.experiment import Experiment, Unscored
from bie.kinds import begun
from bie.result import Result
from bie.store.claims import Claim
from bie.store.provenance import provenance
from bie.training.graph import status

USABLE = 0.8
"""Share of a GPU's free memory that packs of unsaid size are made for."""

OnEpoch = Callable[[RunSpec, int], None]
OnEnd = Callable[[RunSpec, Outcome], None]


def execute(
    pack: Pack,
    on_epoch: OnEpoch,
    on_end: OnEnd,
    stop: Callable[[], bool] = lambda: False,
    launch: str | None = None,
    packing: Packing | None = None,
) -> None:
    """Carry out the runs of a pack; see `Worker`. Without `packing` all train at once, on the CPU."""
    with Worker(on_epoch, on_end, stop, launch, packing or Packing(len(pack))) as worker:
        worker.execute(pack)


def execute_one(
    spec: RunSpec,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    stop: Callable[[], bool] = lambda: False,
    launch: str | None = None,
    packing: Packing | None = None,
) -> Outcome:
    """Carry out a single run: how it ended; see `execute`."""
    ends: list[Outcome] = []
    execute((spec,), lambda _, epoch: on_epoch(epoch), lambda _, end: ends.append(end), stop, launch, packing)
    return ends[0]


class Worker:
    """The runs of a process: a pack trains while the runs of the one before are scored. A context manager.

    Runs that are done or that somebody else is at are left out; a checkpoint in the folder of a run is
    continued; one that has a record gets the files that it lacks, if what comes out is its record again.
    Whatever goes wrong in a run stays in it.

    Parameters
    ----------
    on_epoch, on_end
        Called with a run and its epoch, or how it ended: once for every run, as soon as it is known.
    stop
        Asked after each epoch: where it says True runs leave a checkpoint and end as ``interrupted``.
    launch
        Id of the launch, for the claims.
    packing
        Where to train and how many at once.
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
        self._held: dict[Path, Claim] = {}

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self.scorers.finish()
        finally:
            self.scorers.stop()
            for claim in self._held.values():
                claim.release()

    def execute(self, pack: Pack) -> None:
        """Carry out the runs of a pack, but for scores that others may make meanwhile."""
        try:
            device = self.device
        except BadInput as error:  # the node is not what the launch expected
            for spec in pack:
                self._end(spec, failed(spec, error))
            return
        alone = device == "cpu" and len(pack) == 1
        packs = alone or all(packable(spec.config) for spec in pack)
        for cut in _cuts(pack, self._size(pack) if packs else 1):
            if self.stop():
                self._interrupt(cut)
            elif held := [spec for spec in cut if self._claim(spec)]:
                self._train(held, device if packs else "cpu")

    @cached_property
    def device(self) -> str:
        """Where packs train: ``cpu`` or ``cuda``."""
        return devices.chosen(self.packing.device)

    def score_until(self, pipe: Connection) -> None:
        """See to the runs that are scored until there is something in the pipe."""
        while pipe not in wait([pipe, *self.scorers.pipes]):
            self.scorers.attend()

    def _epoch(self, spec: RunSpec, row: dict[str, float]) -> None:
        """Hand on how a run gets on, and see to those that are scored."""
        self.scorers.attend()
        self._on_epoch(spec, int(row["epoch"]))

    def _size(self, pack: Pack) -> int:
        """Runs that train at once: all, or as many as fit where nobody said a number."""
        if self.packing.size is not None or self.device == "cpu":
            return len(pack)
        torch.cuda.empty_cache()  # what the pack before has left there is free, though not to the driver
        free, _ = torch.cuda.mem_get_info()
        run, cells = Experiment(pack[0].config), cells_on(pack[0].prepared)
        return max_pack_size(run, cells, USABLE * free / self.packing.n_workers)

    def _claim(self, spec: RunSpec) -> bool:
        claim = claimed(spec, self.launch)
        if isinstance(claim, Outcome):
            self._end(spec, claim)
            return False
        self._held[spec.folder] = claim
        return True

    def _interrupt(self, specs: Iterable[RunSpec]) -> None:
        """End runs before their training: each cut of a pack would take an epoch to stop by itself."""
        for spec in specs:
            self._end(spec, Outcome("interrupted"))

    def _end(self, spec: RunSpec, outcome: Outcome) -> None:
        """Give a run back, if it was claimed, and tell how it ended."""
        if claim := self._held.pop(spec.folder, None):
            claim.release()
        self.on_end(spec, outcome)

    def _train(self, specs: Sequence[RunSpec], device: str) -> None:
        """Train runs that are claimed together, then have them scored and recorded.

        A full memory is answered by two packs of half the size, and so on, until it is that of a single run,
        which it then ends. After another error of the whole each run trains alone, so that only those fail
        that it comes from.
        """
        if self.stop():
            self._interrupt(specs)
            return
        torch.backends.cuda.matmul.allow_tf32 = self.packing.matmul_precision == "tf32"
        runs, ends = zip(*(self._prepared(spec, len(specs), device) for spec in specs), strict=True)
        try:
            works = begun(runs, partial(cells_on, specs[0].prepared), device)
        except Exception as error:  # the border of a pack
            if len(specs) == 1:
                ends[0](raising(error))
                return
            size = (len(specs) + 1) // 2 if cause_of(error) == "oom" else 1
            print(f"a pack of {len(specs)} failed ({message_of(error)}); now {size} at a time", flush=True)
        else:
            self._score(works, ends, device)
            return
        if self.device == "cuda":  # the error is gone by now, and with it the tensors that did not fit
            torch.cuda.empty_cache()
        for part in _cuts(specs, size):
            self._train(part, device)

    def _score(self, works: Sequence[Callable[[], Result]], ends: Sequence[End], device: str) -> None:
        """Here, if the core of this process has nothing else to do, or by processes, while others train."""
        if len(works) == 1 and device == "cpu":
            ends[0](works[0])
            return
        self.scorers.begin_all()  # those of the pack before: two packs in memory are enough
        for work, end in zip(works, ends, strict=True):
            assert isinstance(work, Unscored)
            self.scorers.add(work, end)

    def _prepared(self, spec: RunSpec, n_runs: int, device: str) -> tuple[Experiment, End]:
        """A run before its training, and how it will end."""
        noise_of = device if device == "cpu" else f"{device}, {self.packing.matmul_precision}"
        checkpoints = Checkpoints(spec, self._held[spec.folder], self.stop, noise_of, n_runs)

        def end(work: Callable[[], Result]) -> None:
            self._end(spec, attempt(spec, work, checkpoints, self._made_by(n_runs, device)))

        return Experiment(spec.config, partial(self._epoch, spec), checkpoints), end

    def _made_by(self, n_runs: int, device: str) -> dict[str, Any]:
        """What the provenance of a run says otherwise than that of one alone on a CPU."""
        if n_runs == 1 and device == "cpu":
            return {}
        found = provenance()["device"]
        if device == "cuda":
            found = {"type": "cuda", "name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
            found["matmul_precision"] = self.packing.matmul_precision
        return {"device": {**found, "pack": n_runs}, "kernels": status(device)}


def _cuts(specs: Sequence[RunSpec], size: int) -> Iterator[Sequence[RunSpec]]:
    """Runs, so many at a time."""
    return (specs[start : start + size] for start in range(0, len(specs), size))
