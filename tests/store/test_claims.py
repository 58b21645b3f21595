import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import pytest

from bie.store import claims
from bie.store.claims import CLAIM, FIELDS, STALE, Claim, living, take
from bie.store.owner import Owner
from bie.store.record import write_part

HERE = Owner.here("launch-1")
THERE = replace(HERE, host="another")
GONE = 2**22 + 1
"""No process: above what Linux gives out."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def leave(folder: Path, owner: Owner, age: float = 0.0, name: str = CLAIM) -> Path:
    """A claim that somebody has left so many seconds ago."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(asdict(owner)))
    os.utime(path, (time.time() - age,) * 2)
    return path


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_one_at_a_time_then_the_next(folder: Path) -> None:
    first = take(folder, HERE)
    assert first is not None
    assert take(folder, HERE) is None
    said = living(folder)
    assert said is not None
    assert tuple(said) == FIELDS
    assert (said["host"], said["pid"], said["launch"]) == (HERE.host, os.getpid(), "launch-1")
    first.release()
    assert names(folder) == []
    assert living(folder) is None
    with take(folder, HERE) as second:  # type: ignore[union-attr]
        assert names(folder) == [CLAIM]
        assert not second.lost
    assert names(folder) == []


# Races


def race(folder: Path, n: int = 8) -> list[Claim]:
    """Those of `n` threads that got the claim."""
    start, won = threading.Barrier(n), list[Claim]()

    def run() -> None:
        start.wait()
        if claim := take(folder, HERE):
            won.append(claim)

    threads = [threading.Thread(target=run) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


@pytest.fixture(params=["hard links", "none"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With hard links, and on a filesystem that has none."""

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "none":
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return str(request.param)


@pytest.mark.parametrize("left_by", [None, replace(HERE, pid=GONE), THERE])
def test_of_many_one_wins(folder: Path, left_by: Owner | None, links: str) -> None:
    """Whether nobody was there, or one whose process is gone, or one that has long been silent."""
    for turn in range(15):
        if left_by:
            leave(folder, left_by, age=STALE + 5 + turn)
        (winner,) = race(folder)
        assert names(folder) == [CLAIM]
        winner.release()


RACER = """
import sys, pathlib
from bie.store.claims import take
from bie.store.owner import Owner
folder, gun = map(pathlib.Path, sys.argv[1:])
print("ready", flush=True)
while not gun.exists(): pass
claim = take(folder, Owner.here())
print(claim is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def racer(folder: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """A process that asks for the claim once there is a gun, and lives until it is killed."""
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", RACER, str(folder), str(folder.with_name("gun"))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_race_of_processes_and_the_death_of_the_winner(
    folder: Path, racer: Callable[[], "subprocess.Popen[str]"]
) -> None:
    leave(folder, replace(HERE, pid=GONE))
    racers = [racer() for _ in range(3)]
    assert {said(process) for process in racers} == {"ready"}
    folder.with_name("gun").touch()
    won = [said(process) == "True" for process in racers]
    assert won.count(True) == 1
    winner = racers[won.index(True)]
    assert take(folder, HERE) is None
    winner.kill()
    os.waitid(os.P_PID, winner.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet seen to be by its parent
    assert living(folder) is None
    claim = take(folder, HERE)
    assert claim is not None
    claim.release()


# Death


@pytest.mark.parametrize(
    ("owner", "age", "alive"),
    [
        (HERE, 0, True),
        (HERE, STALE + 5, False),  # hung: its heartbeat has stopped
        (replace(HERE, pid=GONE), 0, False),
        (replace(HERE, pid=GONE, host="another"), 0, True),  # a process id means nothing elsewhere
        (replace(HERE, pid=GONE, boot="before"), 0, True),
        (replace(HERE, pid=GONE, pid_namespace="pid:[1]"), 0, True),
        (THERE, STALE - 60, True),
        (THERE, STALE + 5, False),
        (THERE, -STALE - 60, False),  # the server's clock was put back
    ],
)
def test_who_is_dead(folder: Path, owner: Owner, age: float, alive: bool) -> None:
    leave(folder, owner, age)
    assert (living(folder) is not None) == alive
    assert names(folder) == [CLAIM]
    claim = take(folder, HERE)
    assert (claim is None) == alive
    if claim:
        claim.release()


def test_age_is_judged_by_the_file_servers_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Server and claim are an hour behind this machine."""
    leave(folder, THERE, age=3600)

    def behind(path: Path, content: bytes) -> Path:
        part = write_part(path, content)
        os.utime(part, (time.time() - 3600,) * 2)
        return part

    assert living(folder) is None
    monkeypatch.setattr(claims, "write_part", behind)
    assert living(folder) is not None
    assert take(folder, HERE) is None


@pytest.mark.parametrize("content", ["", '{"host": ', "[]", json.dumps({"host": HERE.host})])
def test_an_unreadable_claim_lives_as_long_as_any(folder: Path, content: str) -> None:
    path = leave(folder, THERE)
    path.write_text(content)
    found = living(folder)
    assert found is not None
    assert set(found) == set(FIELDS)
    os.utime(path, (time.time() - STALE - 5,) * 2)
    assert living(folder) is None


def test_a_successor_that_died_at_it_is_succeeded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(folder, replace(HERE, pid=GONE))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Owner, "here", classmethod(lambda *_: HERE))
        with pytest.raises(KeyboardInterrupt):
            take(folder, replace(HERE, pid=GONE + 1))
    assert len(names(folder)) == 2
    (winner,) = race(folder)
    assert names(folder) == [CLAIM]
    winner.release()


def test_heartbeats_renew_the_claim(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT", 0.01)
    with take(folder, HERE) as claim:  # type: ignore[union-attr]
        os.utime(folder / CLAIM, (0, 0))
        end = time.monotonic() + 20
        while (folder / CLAIM).stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not claim.lost


@pytest.fixture
def succeeded(folder: Path) -> tuple[Claim, Claim]:
    """The claim of a process that has slept too long, and that of its successor."""
    sleeper = take(folder, HERE)
    assert sleeper is not None
    os.utime(folder / CLAIM, (time.time() - STALE - 5,) * 2)
    successor = take(folder, replace(HERE, launch="launch-2"))
    assert successor is not None
    return sleeper, successor


def test_who_wakes_up_beside_a_successor_has_lost_and_leaves_it_alone(
    folder: Path, succeeded: tuple[Claim, Claim]
) -> None:
    sleeper, successor = succeeded
    os.utime(folder / CLAIM, (time.time() - 60,) * 2)
    before = (folder / CLAIM).stat().st_mtime
    sleeper.beat()
    assert sleeper.lost
    assert (folder / CLAIM).stat().st_mtime == before, "renewed somebody else's claim"
    sleeper.release()
    assert (living(folder) or {})["launch"] == "launch-2"
    successor.release()
    assert names(folder) == []


def test_who_wakes_up_after_a_successor_has_lost(folder: Path, succeeded: tuple[Claim, Claim]) -> None:
    sleeper, successor = succeeded
    successor.release()
    sleeper.beat()
    assert sleeper.lost
    assert names(folder) == []


def test_a_server_that_does_not_answer_has_not_lost_the_claim(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    claim = take(folder, HERE)
    assert claim is not None
    with monkeypatch.context() as patch:
        patch.setattr(claims, "_look", refuse)
        claim.beat()
    assert not claim.lost
    claim.release()
    assert names(folder) == []


def test_a_folder_that_cannot_be_written_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        take(folder, HERE)
    assert names(folder) == []
    leave(folder, THERE)
    assert living(folder) is not None, "without a file of its own, the clock is this machine's"


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "7"}, "7"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3"),
    ],
)
def test_jobs_by_the_name_that_slurm_gives(
    environment: dict[str, str], job: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Owner.here().slurm == job
