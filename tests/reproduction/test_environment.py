import os
import subprocess
import sys
from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.reproduction import environment
from bie.reproduction.environment import Recorded, built
from bie.reproduction.origin import Origin

HERE = {"numpy": "2.4", "ruff": "0.1", "hydra-core": "1.3"}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "installed", lambda: HERE)
    monkeypatch.setattr(environment, "cache", lambda: tmp_path / "cache" / "environments")
    monkeypatch.setattr("platform.python_version", lambda: "3.11.7")


def _recorded(**packages: str) -> Recorded:
    return Recorded({name.replace("_", "-"): version for name, version in packages.items()}, "3.11.2")


def test_the_launch_and_the_record_tell(tmp_path: Path):
    (tmp_path / "environment").write_text("bie==0.1.0\nNumPy==2.4\nruff==0.1\n")
    record = {
        "provenance": {"packages": {"bie": "0.1.0", "numpy": "2.3", "torch": "2.13.0"}, "python": "3.12.1"}
    }
    recorded = Recorded.of(Origin(record, tmp_path))
    assert recorded == Recorded({"numpy": "2.3", "ruff": "0.1", "torch": "2.13.0"}, "3.12.1")
    assert recorded.differences()[0].name == "Python"


def test_only_what_matters_differs():
    assert _recorded(numpy="2.4", ruff="9", hydra_core="1.3").differences() == []
    assert [d.name for d in _recorded(numpy="2.3", harmonypy="0.1").differences()] == ["numpy", "harmonypy"]


def test_tools_are_not_built_and_builds_are_not_asked_for():
    recorded = _recorded(numpy="2.3", ruff="0.1", torch="2.13.0+cpu", unknown_here="1.0")
    assert recorded.requirements() == ["numpy==2.3", "torch==2.13.0", "unknown-here==1.0"]


def test_an_environment_is_built_once(monkeypatch: pytest.MonkeyPatch):
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(environment, "_run", lambda *command: commands.append(command))
    python = built(_recorded(numpy="2.3"), {})
    assert [command[1:3] for command in commands] == [("-m", "venv"), ("-m", "pip")]
    assert commands[0][0] == sys.executable
    assert (python.parents[1] / "requirements.txt").read_text() == "numpy==2.3\n"
    assert built(_recorded(numpy="2.3"), {}) == python
    assert len(commands) == 2
    assert built(_recorded(numpy="2.2"), {}) != python


def test_what_a_killed_build_left_is_removed_once_it_is_nobodys(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "_run", lambda *command: None)
    old, new = (environment.cache() / f".key.{name}" for name in ("old", "new"))
    for draft in (old, new):
        (draft / "bin").mkdir(parents=True)
    os.utime(old, (0, 0))
    built(_recorded(numpy="2.3"), {})
    assert (old.exists(), new.exists()) == (False, True)


def test_of_two_that_build_the_same_the_first_stays(monkeypatch: pytest.MonkeyPatch):
    def slower(folder: Path, *_: object) -> None:
        folder.mkdir()
        (folder.parent / folder.name.split(".")[1] / "bin").mkdir(parents=True)

    monkeypatch.setattr(environment, "_make", slower)
    assert built(_recorded(numpy="2.3"), {}).parent.is_dir()
    assert len(list(environment.cache().iterdir())) == 1


def test_what_pip_says_is_one_line_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch):
    commands, failed = [], dict[str, str]()

    def fails(*command: str) -> None:
        commands.append(command)
        said = "Looking in links\nERROR: No matching distribution found for numpy==2.3\n"
        raise subprocess.CalledProcessError(1, command, "", said)

    monkeypatch.setattr(environment, "_run", fails)
    for _ in range(2):
        with pytest.raises(BadInput, match=r"cannot be built: ERROR: No matching .* --here reruns"):
            built(_recorded(numpy="2.3"), failed)
    assert len(commands) == 1, "what failed once is not tried for each run"
    assert list(environment.cache().iterdir()) == []


def test_a_python_that_is_not_here():
    with pytest.raises(BadInput, match=r"Python 3\.99, and there is no python3\.99 here"):
        built(Recorded({}, "3.99.1"), {})


def test_a_stand_in_for_another_python_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As pyenv's shims are where that version is not chosen; those that it keeps are looked for too."""
    shim, kept = tmp_path / "shims" / "python3.99", tmp_path / "versions" / "3.99.1" / "bin" / "python3.99"
    for python, ends in ((shim, 127), (kept, 0)):
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\nexit {ends}\n")
        python.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert environment._python("3.99") == str(kept)
    kept.unlink()
    with pytest.raises(BadInput, match="there is no python3"):
        environment._python("3.99")
