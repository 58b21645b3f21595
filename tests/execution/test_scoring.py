"""Runs that are scored in processes of their own: the same records, and nobody feels another's end."""

import errno
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bie import experiment, result
from bie.errors import RunFailed
from bie.execution.packs import Packing
from bie.execution.run_spec import RunSpec
from bie.execution.scoring import NICE
from bie.execution.worker import Worker, execute
from bie.result import Result
from bie.store.claims import CLAIM
from bie.store.record import CHECKPOINT, FAILED, HISTORY
from tests.execution.packs import Make, Watch, record, run

SCVI = ("model=scvi", "seed=range(4)")
PARENT = os.getpid()
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks nowhere else")


def together(n_processes: int, n_runs: int = 4) -> Packing:
    return Packing(n_runs, cores=n_processes)


@pytest.fixture
def before_scoring(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], Any]], None]:
    """Have a function called with a run's seed where the run is scored."""
    scored = result.scored

    def patch(act: Callable[[int], Any]) -> None:
        def acting(config: Any, *rest: Any) -> Result:
            act(config.seed)
            return scored(config, *rest)

        monkeypatch.setattr(experiment, "scored", acting)

    return patch


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def note(folder: Path) -> Callable[[int], Any]:
    """Leaves a file for each seed that is scored, with the process that does it and how it gives way."""
    folder.mkdir()
    return lambda seed: (folder / f"{seed}").write_text(f"{os.getpid()} {os.nice(0)}")


def noted(folder: Path) -> dict[int, tuple[int, ...]]:
    return {int(p.name): tuple(map(int, p.read_text().split())) for p in sorted(folder.iterdir())}


def test_records_are_to_the_last_digit_those_of_scoring_in_turn(
    make: Make, tmp_path: Path, before_scoring: Any
) -> None:
    before_scoring(note(tmp_path / "who"))
    typed = ("model=scvi_mine", "mine.steps=1", "seed=range(4)", "save.model=true", "save.embedding=true")
    serial, parallel = make("serial", *typed), make("parallel", *typed)
    assert run(serial, packing=together(1)).statuses == ["done"] * 4
    assert {who for who, _ in noted(tmp_path / "who").values()} == {PARENT}
    assert run(parallel, packing=together(3)).statuses == ["done"] * 4
    pids, nice = zip(*noted(tmp_path / "who").values(), strict=True)
    assert PARENT not in pids
    assert len(set(pids)) == 4
    assert set(nice) == {os.nice(0) + NICE}
    for one, other in zip(serial, parallel, strict=True):
        ours, theirs = ({k: v for k, v in record(t).items() if k != "timing"} for t in (one, other))
        assert json.dumps(ours) == json.dumps(theirs)
        assert record(one)["timing"].keys() == record(other)["timing"].keys()
        names = {path.name for path in one.folder.iterdir()}
        assert {"model.pt", "embedding.npz", HISTORY} < names == {p.name for p in other.folder.iterdir()}
        for name in names - {"record.json"}:
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


# What can go wrong


def die(seed: int) -> None:
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)


ERRORS = {
    1: (RunFailed("nan", "the embedding is not finite"), "nan", "the embedding is not finite"),
    2: (ValueError("k > n"), "error", "ValueError: k > n"),
    3: (MemoryError("64 GiB"), "oom", "MemoryError: 64 GiB"),
    4: (OSError(28, "No space left"), "disk", "OSError: [Errno 28] No space left"),
}
"""Of a seed: what is raised, and what its failure says."""


def fail(seed: int) -> None:
    if seed in ERRORS:
        error, *_ = ERRORS[seed]
        raise error


def test_errors_are_recorded_as_where_runs_are_scored_in_turn(make: Make, before_scoring: Any) -> None:
    before_scoring(fail)
    for n_processes in (1, 2):
        pack = make(f"with {n_processes}", "model=scvi", "seed=range(6)")
        statuses = run(pack, packing=together(n_processes, 6)).statuses
        assert statuses == ["done", *["failed"] * 4, "done"]
        for seed, (_, cause, message) in ERRORS.items():
            failure = json.loads((pack[seed].folder / FAILED).read_text())
            assert (failure["cause"], failure["message"]) == (cause, message)
            assert "raise error" in failure["traceback"]


def test_a_process_that_is_killed_costs_its_run_only(make: Make, before_scoring: Any) -> None:
    before_scoring(die)
    pack = make("pack", *SCVI)
    watch = run(pack, packing=together(2))
    assert watch.statuses == ["done", "failed", "done", "done"]
    assert (watch.ends[1].cause, watch.ends[1].message) == (
        "killed",
        "its scoring process ended with SIGKILL (a full memory ends so)",
    )
    assert not list(pack[0].folder.parents[1].rglob(CLAIM))


def test_a_run_whose_process_cannot_be_forked_is_scored_here(
    make: Make,
    tmp_path: Path,
    before_scoring: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fork, forks = os.fork, list[int]()

    def at_times() -> int:
        forks.append(0)
        if len(forks) % 2:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    before_scoring(note(tmp_path / "who"))
    monkeypatch.setattr(os, "fork", at_times)
    pack = make("pack", *SCVI)
    assert run(pack, packing=together(2)).statuses == ["done"] * 4
    assert [pid for pid, _ in noted(tmp_path / "who").values()].count(PARENT) == 2
    assert capsys.readouterr().out.count("no process could be forked: [Errno 11]") == 2


def test_a_run_that_diverges_needs_no_process(make: Make) -> None:
    pack = make("pack", "model=scvi", "train.lr=1e-3,1e30")
    assert run(pack, packing=together(2, 2)).statuses == ["done", "failed"]


def test_runs_are_claimed_until_they_have_ended(make: Make) -> None:
    pack = make("pack", *SCVI)
    watch = Watch(pack)

    def on_end(spec: RunSpec, outcome: Any) -> None:
        watch.on_end(spec, outcome)
        claimed = [(spec.folder / CLAIM).exists() for spec in pack]
        assert claimed == [other not in watch.ends for other in range(4)]

    execute(pack, watch.on_epoch, on_end, packing=together(2))
    assert watch.statuses == ["done"] * 4


# Stopping


def test_stopped_while_runs_are_scored_these_end_and_the_others_keep_what_they_have_trained(
    make: Make, tmp_path: Path, before_scoring: Any
) -> None:
    who = note(tmp_path / "who")

    def begun() -> bool:
        return len(noted(tmp_path / "who")) >= 2

    def both(seed: int) -> None:
        who(seed)
        until(begun)

    before_scoring(both)
    pack = make("pack", *SCVI)
    watch = Watch(pack)
    execute(pack, watch.on_epoch, watch.on_end, begun, packing=together(2))
    assert watch.statuses.count("done") == len(noted(tmp_path / "who")) == 2
    assert watch.statuses.count("interrupted") == 2
    for place, spec in enumerate(pack):
        assert (spec.folder / CHECKPOINT).exists() == (watch.ends[place].status == "interrupted")
    again = run(pack, packing=together(2))
    assert again.epochs == []
    assert sorted(again.statuses) == ["before", "before", "done", "done"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_whatever_ends_the_parent_ends_its_processes_too(
    make: Make, tmp_path: Path, before_scoring: Any
) -> None:
    who = note(tmp_path / "who")

    def sleep(seed: int) -> None:
        who(seed)
        time.sleep(600)

    before_scoring(sleep)
    pack = make("pack", *SCVI)
    watch = Watch(pack)
    arguments = (pack, watch.on_epoch, watch.on_end, lambda: False, None, together(2))
    process = multiprocessing.get_context("fork").Process(target=execute, args=arguments)
    process.start()
    until(lambda: len(noted(tmp_path / "who")) == 2 and all(noted(tmp_path / "who").values()))
    process.kill()
    process.join()
    until(lambda: not any(alive(pid) for pid, _ in noted(tmp_path / "who").values()))


# Another pack meanwhile


def test_a_pack_trains_while_the_one_before_is_scored(
    make: Make, tmp_path: Path, before_scoring: Any
) -> None:
    trains = tmp_path / "trains"
    before_scoring(lambda seed: until(trains.exists))
    pack = make("pack", *SCVI)
    watch = Watch(pack)

    def on_epoch(spec: RunSpec, epoch: int) -> None:
        watch.on_epoch(spec, epoch)
        if spec in pack[2:]:
            trains.touch()

    with Worker(on_epoch, watch.on_end, lambda: False, None, together(2, 2)) as worker:
        worker.execute(pack[:2])
        assert not watch.ends
        worker.execute(pack[2:])
    assert watch.statuses == ["done"] * 4
    assert not list(pack[0].folder.parents[1].rglob(CLAIM))


def test_an_exception_ends_all_processes_and_gives_runs_back(
    make: Make, tmp_path: Path, before_scoring: Any
) -> None:
    who = note(tmp_path / "who")

    def sleep(seed: int) -> None:
        who(seed)
        time.sleep(600)

    before_scoring(sleep)
    pack = make("pack", *SCVI)
    watch = Watch(pack)

    def two_at_once() -> None:
        with Worker(watch.on_epoch, watch.on_end, lambda: False, None, together(2)) as worker:
            worker.execute(pack)
            until(lambda: len(noted(tmp_path / "who")) == 2 and all(noted(tmp_path / "who").values()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        two_at_once()
    assert not any(alive(pid) for pid, _ in noted(tmp_path / "who").values())
    assert not watch.ends
    assert not list(pack[0].folder.parents[1].rglob(CLAIM))
