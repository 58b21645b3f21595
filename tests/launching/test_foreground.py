"""Launches on this machine, as a user types them, with what goes wrong there."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bie import devices
from bie.run import main as run

MARK = "BIE_TEST_MARK"
Command = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def bie(in_tmp: Path, tiny: tuple[str, ...]) -> Iterator[Command]:
    started = list["subprocess.Popen[str]"]()

    def start(*overrides: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "bie.run", "-m", *tiny, *overrides]
        environment = os.environ | {MARK: str(in_tmp)}
        process = subprocess.Popen(
            command,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:  # what a failed test has left
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def records(tree: str = "outputs/v1/adhoc") -> dict[str, dict]:
    """Every record, parsed: a half-written one would raise here."""
    found = sorted(Path(tree).glob("runs/*/*/*/seed=*/record.json"))
    return {str(path.relative_to(tree)): json.loads(path.read_text()) for path in found}


def processes(mark: Path) -> list[int]:
    """Processes of this test, by an environment variable they inherit."""
    wanted = f"{MARK}={mark}".encode()
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and int(p.name) != os.getpid()]
    return [pid for pid in pids if wanted in _environ(pid).split(b"\0")]


def _output(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/fd/1").readlink()
    except OSError:  # it has just ended
        return None


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def busy_workers(mark: Path) -> list[int]:
    """Workers, not the server they are forked from: those whose log says that they took up a run."""
    logs = {path for path in Path("outputs").glob("*/*/launches/*/logs/*") if "---" in path.read_text()}
    return [pid for pid in processes(mark) if _output(pid) in {path.resolve() for path in logs}]


def test_sweep_then_again_then_more(bie: Command):
    code, output = finish(bie("model=scvi,scvi_mine", "mine.scale=1,10", "seed=range(1)"))
    assert code == 0, output
    assert "3 runs = 4 combinations - 1" in output
    assert "done 3.   exit 0" in output
    first = records()
    assert len(first) == 3
    stamps = {path: path.stat().st_mtime_ns for path in Path("outputs").rglob("record.json")}
    code, output = finish(bie("model=scvi,scvi_mine", "mine.scale=1,10", "seed=range(2)"))
    assert code == 0
    assert "3 were done before" in output
    assert len(records()) == 6
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}, "a finished record was touched"


def test_the_same_run_twice_is_the_same_record(bie: Command):
    wanted = ("model=scvi_mine", "seed=3", "save.model=true", "save.embedding=true")
    for version, workers in (("version=a", "1"), ("version=b", "0")):
        code, output = finish(bie(*wanted, version, f"hydra.launcher.workers={workers}"))
        assert code == 0, output
    a, b = records("outputs/a/adhoc"), records("outputs/b/adhoc")
    strip = [
        {k: v for k, v in r.items() if k not in ("timing", "provenance")} for r in (*a.values(), *b.values())
    ]
    assert json.dumps(strip[0]) == json.dumps(strip[1])
    for name in ("history.csv", "embedding.npz", "model.pt"):
        one, two = (next(Path(f"outputs/{version}").rglob(name)).read_bytes() for version in "ab")
        assert one == two, name


def test_a_sweep_in_packs_is_the_sweep(bie: Command):
    swept = ("model=scvi_mine,noise", "mine.scale=1,10", "mine.steps=1", "seed=0")
    for version, how in (("alone", ()), ("packed", ("device=cpu", *PACKS))):
        code, output = finish(bie(*swept, f"version={version}", *how))
        assert code == 0, output
        assert "done 3.   exit 0" in output
    alone, packed = records("outputs/alone/adhoc"), records("outputs/packed/adhoc")
    assert alone.keys() == packed.keys()
    together = []
    for path, record in packed.items():
        assert {key: record[key] for key in ("run_id", "config_id", "split_id", "config")} == {
            key: alone[path][key] for key in ("run_id", "config_id", "split_id", "config")
        }
        for part in ("train", "test"):
            found, expected = (
                {name: value for name, value in each["metrics"][part].items() if value is not None}
                for each in (record, alone[path])
            )
            assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)
        together.append(record["provenance"]["device"].get("pack", 0))
    assert sorted(together) == [0, 2, 2]  # noise alone, mine at both scales


@pytest.mark.skipif(devices.has_cuda(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_starts_nothing(
    in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert run(["-m", *tiny, "device=cuda"]) == 2
    said = capsys.readouterr().err
    assert "device=cuda: " in said
    assert "device=cpu" in said
    assert not Path("outputs").exists()  # nor has a cell been simulated


def test_a_run_that_diverges_leaves_its_cause_and_the_others_their_records(bie: Command):
    code, output = finish(bie("train.lr=1e-3,1e30", "seed=0"))
    assert code == 1
    assert "failed 1 (nan: 1)" in output
    assert len(records()) == 1
    (failed,) = Path("outputs").rglob("failed.json")
    failure = json.loads(failed.read_text())
    assert failure["cause"] == "nan"
    assert failure["attempt"] == 1
    assert "epoch" in failure["message"]
    assert "Traceback" in failure["traceback"]
    code, _ = finish(bie("train.lr=1e-3,1e30", "seed=0"))
    assert code == 1
    assert json.loads(failed.read_text())["attempt"] == 2, "a failed run is missing, so it is tried again"


def test_a_killed_worker_costs_its_run_only(bie: Command, in_tmp: Path):
    process = bie("train.epochs=150", "seed=range(3)")
    wait_for(lambda: busy_workers(in_tmp))
    os.kill(busy_workers(in_tmp)[0], signal.SIGKILL)
    code, output = finish(process)
    assert code == 1, output
    assert "failed 1 (killed: 1)" in output
    assert len(records()) == 2
    (failed,) = Path("outputs").rglob("failed.json")
    assert "SIGKILL" in json.loads(failed.read_text())["message"]
    code, output = finish(bie("train.epochs=150", "seed=range(3)"))
    assert (code, len(records())) == (0, 3)
    assert not list(Path("outputs").rglob("failed.json"))


PACKS = ("pack=4", "hydra.launcher.workers=1")  # which has all cores for its scoring


def test_a_worker_that_dies_with_a_pack_costs_no_run(bie: Command, in_tmp: Path):
    """Nobody knows which of them ended it: each is tried again, alone."""
    process = bie("train.epochs=150", "seed=range(4)", *PACKS)
    wait_for(lambda: len(list(Path("outputs").rglob("claim.json"))) == 4)
    os.kill(busy_workers(in_tmp)[0], signal.SIGKILL)
    code, output = finish(process)
    assert code == 0, output
    assert {record["provenance"]["device"].get("pack", 0) for record in records().values()} == {0}
    assert len(records()) == 4


@pytest.mark.parametrize(
    ("how", "packs"),
    [
        (signal.SIGKILL, ()),
        (signal.SIGINT, ()),
        (signal.SIGINT, PACKS),
    ],
)
def test_a_stopped_launch_keeps_what_is_finished_and_leaves_nobody_behind(
    how: signal.Signals, packs: tuple[str, ...], bie: Command, in_tmp: Path
):
    process = bie("train.epochs=60", "seed=range(40)", *packs)
    # by their level: other folders of the tree come and go while one looks
    wait_for(lambda: len(list(Path("outputs").glob("*/*/runs/*/*/*/*/record.json"))) >= 2)
    os.killpg(process.pid, how) if how == signal.SIGINT else os.kill(process.pid, how)
    code, output = finish(process)
    wait_for(lambda: not processes(in_tmp), 10)
    done = len(records())
    assert 2 <= done < 40
    assert not list(Path("outputs").rglob("failed.json")), "being stopped is no failure"
    if how != signal.SIGKILL:
        assert code == 1
        assert "stopping after this epoch; again to stop at once" in output
        assert re.search(rf"done {done}, not run {40 - done}", output)
        assert not list(Path("outputs").rglob("claim.json"))


LONG = "train.epochs=100000"


def begun() -> bool:
    """Whether somebody is at a run."""
    return bool(list(Path("outputs").rglob("claim.json")))


def stopped(process: "subprocess.Popen[str]", after: float) -> str:
    """What a launch of one run says that is stopped so many seconds after the run was claimed."""
    wait_for(begun)
    time.sleep(after)
    os.kill(process.pid, signal.SIGTERM)
    code, output = finish(process)
    assert code == 1, output
    return output


def test_typed_again_after_ctrl_c_a_run_goes_on_where_it_stopped(bie: Command, in_tmp: Path):
    wanted = ("train.epochs=60", "seed=7")
    # one that reads its cells still when it is stopped has not begun
    outputs = (stopped(bie(*wanted), after) for after in (0.5, 2.0, 1.0, 4.0))
    assert any("not run 1 (1 stopped midway, to go on from there)" in output for output in outputs)
    assert len(list(Path("outputs").rglob("checkpoint.pt"))) == 1
    code, output = finish(bie(*wanted))
    assert code == 0, output
    assert not list(Path("outputs").rglob("checkpoint.pt"))
    (halted,) = records().values()
    assert halted["timing"]["interruptions"] == 1
    code, _ = finish(bie(*wanted, "version=whole", "hydra.launcher.workers=0"))
    assert code == 0
    (whole,) = records("outputs/whole/adhoc").values()
    assert halted["metrics"] == whole["metrics"]
    (one, other) = (next(Path("outputs", v).rglob("history.csv")) for v in ("v1", "whole"))
    assert one.read_bytes() == other.read_bytes()


def test_the_second_ctrl_c_ends_at_once(bie: Command, in_tmp: Path):
    """The workers are suspended, so that no epoch ends between the two."""
    process = bie(LONG, "seed=0")
    wait_for(begun)
    suspended = busy_workers(in_tmp)
    for pid in suspended:
        os.kill(pid, signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    code, output = finish(process)
    assert code == 1
    assert "stopped; what was finished is kept" in output
    assert not set(suspended) & set(processes(in_tmp))
    assert not list(Path("outputs").rglob("claim.json"))


def test_two_launches_at_once_do_no_run_twice(bie: Command, in_tmp: Path):
    first = bie(LONG, "seed=0", "hydra.launcher.workers=1")
    wait_for(begun)
    code, output = finish(bie(LONG, "seed=0", "hydra.launcher.workers=1"))
    assert code == 1
    assert "1 are being done by another launch" in output
    assert len(list(Path("outputs").rglob("claim.json"))) == 1
    first.kill()
    finish(first)
    wait_for(lambda: not processes(in_tmp), 10)
    second = bie(LONG, "seed=0", "hydra.launcher.workers=1")  # the claim of the dead one holds nobody up
    wait_for(lambda: busy_workers(in_tmp))
    os.kill(second.pid, signal.SIGINT)
    code, output = finish(second)
    assert "not run 1" in output


def test_bad_input_starts_nothing(in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    for bad in ("mine.scal=3", "split.train_fraction=0.001", "pack=0"):
        assert run(["-m", *tiny, bad]) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert not Path("outputs").exists()
