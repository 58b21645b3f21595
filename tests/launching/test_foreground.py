"""Launches on this machine, as a user types them, with what goes wrong there.

Most are typed in this process, whose workers share one server: to start it takes longer than a sweep.
"""

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
from bie.execution.progress import Scoreboard
from bie.execution.run_spec import Outcome, RunSpec
from bie.launching import launch as launching
from bie.run import main as run

MARK = "BIE_TEST_MARK"
Typed = Callable[..., tuple[int, str]]
Command = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def typed(in_tmp: Path, tiny: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type a sweep in this process: exit code and what was said."""

    def launch(*overrides: str) -> tuple[int, str]:
        code = run(["-m", *tiny, *overrides])
        return code, "".join(capfd.readouterr())

    return launch


@pytest.fixture
def at_first_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[RunSpec], None]], None]:
    """Have a function called, once, when the command hears that a run has trained an epoch."""

    def patch(act: Callable[[RunSpec], None]) -> None:
        left = [act]

        class Acting(Scoreboard):
            def epoch(self, spec: RunSpec, epoch: int) -> None:
                super().epoch(spec, epoch)
                if left:
                    left.pop()(spec)

        monkeypatch.setattr(launching, "Scoreboard", Acting)

    return patch


def stop_here(spec: RunSpec) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def kill_its_worker(spec: RunSpec) -> None:
    os.kill(json.loads((spec.folder / "claim.json").read_text())["pid"], signal.SIGKILL)


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


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


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
    found = [pid for pid in processes(mark) if _output(pid) in {path.resolve() for path in logs}]
    return [pid for pid in found if _parent(pid) not in found]  # nor what they start, git for a moment


def test_sweep_then_again_then_more(typed: Typed):
    code, output = typed("model=scvi,scvi_mine", "mine.scale=1,10", "seed=range(1)")
    assert code == 0, output
    assert "3 runs = 4 combinations - 1" in output
    assert "done 3.   exit 0" in output
    first = records()
    assert len(first) == 3
    stamps = {path: path.stat().st_mtime_ns for path in Path("outputs").rglob("record.json")}
    code, output = typed("model=scvi,scvi_mine", "mine.scale=1,10", "seed=range(2)")
    assert code == 0
    assert "3 were done before" in output
    assert len(records()) == 6
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}, "a finished record was touched"


def test_the_same_run_twice_is_the_same_record(typed: Typed):
    wanted = ("model=scvi_mine", "seed=3", "save.model=true", "save.embedding=true")
    for version, workers in (("version=a", "1"), ("version=b", "0")):
        code, output = typed(*wanted, version, f"hydra.launcher.workers={workers}")
        assert code == 0, output
    a, b = records("outputs/a/adhoc"), records("outputs/b/adhoc")
    strip = [
        {k: v for k, v in r.items() if k not in ("timing", "provenance")} for r in (*a.values(), *b.values())
    ]
    assert json.dumps(strip[0]) == json.dumps(strip[1])
    for name in ("history.csv", "embedding.npz", "model.pt"):
        one, two = (next(Path(f"outputs/{version}").rglob(name)).read_bytes() for version in "ab")
        assert one == two, name


def test_a_sweep_in_packs_is_the_sweep(typed: Typed):
    swept = ("model=scvi_mine,noise", "mine.scale=1,10", "mine.steps=1", "seed=0")
    for version, how in (("alone", ()), ("packed", ("device=cpu", *PACKS))):
        code, output = typed(*swept, f"version={version}", *how)
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


def test_a_run_that_diverges_leaves_its_cause_and_the_others_their_records(typed: Typed):
    code, output = typed("train.lr=1e-3,1e30", "seed=0")
    assert code == 1
    assert "failed 1 (nan: 1)" in output
    assert len(records()) == 1
    (failed,) = Path("outputs").rglob("failed.json")
    failure = json.loads(failed.read_text())
    assert failure["cause"] == "nan"
    assert failure["attempt"] == 1
    assert "epoch" in failure["message"]
    assert "Traceback" in failure["traceback"]
    code, _ = typed("train.lr=1e-3,1e30", "seed=0")
    assert code == 1
    assert json.loads(failed.read_text())["attempt"] == 2, "a failed run is missing, so it is tried again"


def test_a_killed_worker_costs_its_run_only(
    typed: Typed, at_first_epoch: Callable[[Callable[[RunSpec], None]], None]
):
    wanted = ("train.epochs=100", "seed=range(3)")
    at_first_epoch(kill_its_worker)
    code, output = typed(*wanted)
    assert code == 1, output
    assert "failed 1 (killed: 1)" in output
    assert len(records()) == 2
    (failed,) = Path("outputs").rglob("failed.json")
    assert "SIGKILL" in json.loads(failed.read_text())["message"]
    code, output = typed(*wanted)
    assert (code, len(records())) == (0, 3)
    assert not list(Path("outputs").rglob("failed.json"))


PACKS = ("pack=4", "hydra.launcher.workers=1")  # which has all cores for its scoring


def test_a_worker_that_dies_with_a_pack_costs_no_run(
    typed: Typed, at_first_epoch: Callable[[Callable[[RunSpec], None]], None]
):
    """Nobody knows which of them ended it: each is tried again, alone."""
    claimed = list[Path]()

    def kill(spec: RunSpec) -> None:
        claimed.extend(Path("outputs").rglob("claim.json"))
        kill_its_worker(spec)

    at_first_epoch(kill)
    code, output = typed("train.epochs=40", "seed=range(4)", *PACKS)
    assert code == 0, output
    assert len(claimed) == 4
    assert {record["provenance"]["device"].get("pack", 0) for record in records().values()} == {0}
    assert len(records()) == 4


def are_done(n: int) -> bool:
    # by their level: other folders of the tree come and go while one looks
    return len(list(Path("outputs").glob("*/*/runs/*/*/*/*/record.json"))) >= n


def check_stopped(code: int, output: str) -> None:
    """Of 40 runs."""
    done = len(records())
    assert 2 <= done < 40
    assert not list(Path("outputs").rglob("failed.json")), "being stopped is no failure"
    assert code == 1
    assert "stopping after this epoch (pairs and sets: after this run); again to stop at once" in output
    assert re.search(rf"done {done}, not run {40 - done}", output)
    assert not list(Path("outputs").rglob("claim.json"))


def test_a_stopped_launch_keeps_what_is_finished(typed: Typed, monkeypatch: pytest.MonkeyPatch):
    class Stopping(Scoreboard):
        def ended(self, spec: RunSpec, outcome: Outcome) -> None:
            super().ended(spec, outcome)
            if outcome.status == "done" and self.ends["done"] == 2:
                stop_here(spec)

    monkeypatch.setattr(launching, "Scoreboard", Stopping)
    check_stopped(*typed("seed=range(40)", "train.epochs=60"))


def test_a_stopped_launch_leaves_nobody_behind(bie: Command, in_tmp: Path):
    process = bie("seed=range(40)", "train.epochs=20", *PACKS)
    wait_for(lambda: are_done(2))
    os.killpg(process.pid, signal.SIGINT)
    code, output = finish(process)
    wait_for(lambda: not processes(in_tmp), 10)
    check_stopped(code, output)


LONG = "train.epochs=100000"


def begun() -> bool:
    """Whether somebody is at a run."""
    return bool(list(Path("outputs").rglob("claim.json")))


def test_typed_again_after_ctrl_c_a_run_goes_on_where_it_stopped(
    typed: Typed, at_first_epoch: Callable[[Callable[[RunSpec], None]], None]
):
    wanted = ("train.epochs=100", "seed=7")
    at_first_epoch(stop_here)
    code, output = typed(*wanted)
    assert code == 1
    assert "not run 1 (1 stopped midway, to go on from there)" in output
    assert len(list(Path("outputs").rglob("checkpoint.pt"))) == 1
    code, output = typed(*wanted)
    assert code == 0, output
    assert not list(Path("outputs").rglob("checkpoint.pt"))
    (halted,) = records().values()
    assert halted["timing"]["interruptions"] == 1
    code, _ = typed(*wanted, "version=whole", "hydra.launcher.workers=0")
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


def test_two_launches_at_once_do_no_run_twice_and_a_dead_one_holds_nobody_up(
    bie: Command, typed: Typed, in_tmp: Path, at_first_epoch: Callable[[Callable[[RunSpec], None]], None]
):
    first = bie("train.epochs=2,100000", "seed=0", "hydra.launcher.workers=1")
    wait_for(lambda: len(records()) == 1 and begun())
    code, output = typed(LONG, "seed=0", "hydra.launcher.workers=1")
    assert code == 1
    assert "1 are being done by another launch" in output
    assert len(list(Path("outputs").rglob("claim.json"))) == 1
    first.kill()
    finish(first)
    wait_for(lambda: not processes(in_tmp), 10)  # it leaves nobody behind
    assert len(records()) == 1
    assert not list(Path("outputs").rglob("failed.json")), "being stopped is no failure"
    at_first_epoch(stop_here)
    code, output = typed(LONG, "seed=0", "hydra.launcher.workers=1")
    assert "not run 1 (1 stopped midway" in output


def test_bad_input_starts_nothing(in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    for bad in ("mine.scal=3", "split.train_fraction=0.001", "pack=0"):
        assert run(["-m", *tiny, bad]) == 2
        assert "Traceback" not in capsys.readouterr().err
    assert not Path("outputs").exists()
