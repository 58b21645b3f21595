"""Environments whose making was ended half-way are made anew; scripts/install and venv are stand-ins here."""

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = f'#!/bin/sh\n[ "$1 $2" != "-m venv" ] || exec mkdir -p "$3/bin"\nexec {sys.executable} "$@"\n'
KILLED = '#!/bin/sh\nfor to; do :; done\nmkdir "$to"; /bin/cp .venv/.bie-stamp "$to"; kill -9 $PPID\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scripts and an environment."""
    (tmp_path / "scripts").mkdir()
    for name in ("setup", "lockfile", "peer_environment"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    for name in ("requirements.lock", "requirements-3.12.lock", "requirements-peers.lock", "pyproject.toml"):
        (tmp_path / name).write_text("torch==2\n")
    for name in ("BIE_VENV", "BIE_PEERS_VENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON", str(_program(tmp_path / "python", PYTHON)))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    _program(tmp_path / "scripts/install", "#!/bin/sh\n")
    _run(tmp_path, "setup")
    _program(tmp_path / ".venv/bin/python", PYTHON)
    return tmp_path


def _program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def _run(checkout: Path, script: str, **more: str) -> int:
    return subprocess.run(
        [f"scripts/{script}"], cwd=checkout, env=os.environ | more, capture_output=True, check=False
    ).returncode


def test_an_environment_that_was_not_finished_is_none(checkout: Path):
    stamp = checkout / ".venv/.bie-stamp"
    assert stamp.is_file()
    assert _run(checkout, "peer_environment") == 0
    shared = checkout / ".venv-peers/.bie-stamp"
    before = shared.read_text()
    (checkout / "pyproject.toml").write_text("changed")
    _program(checkout / "scripts/install", "#!/bin/sh\nexit 1\n")
    assert _run(checkout, "setup") == 1
    assert not stamp.exists()
    _program(checkout / "scripts/install", "#!/bin/sh\n")
    assert _run(checkout, "setup") == 0
    assert stamp.read_text() != before
    assert shared.read_text() == before


def test_a_copy_that_was_not_finished_is_none(checkout: Path):
    bin_ = checkout / "bin"
    bin_.mkdir()
    _program(bin_ / "cp", KILLED)
    assert _run(checkout, "peer_environment", PATH=f"{bin_}:{os.environ['PATH']}") != 0
    assert _run(checkout, "peer_environment") == 0
    assert (checkout / ".venv-peers/bin/python").is_file()


def test_the_copy_shares_what_is_compiled_of_the_files_that_it_shares(checkout: Path):
    base, copy = checkout / ".venv/lib", checkout / ".venv-peers/lib"
    (base / "added").mkdir(parents=True)
    for name in ("shared", "replaced"):
        (base / f"{name}.py").touch()
    assert _run(checkout, "peer_environment") == 0
    (base / "added/new.py").touch()
    (copy / "replaced.py").unlink()
    (copy / "replaced.py").touch()
    for name in ("shared", "replaced", "added/new"):
        py_compile.compile(str(base / f"{name}.py"))
    assert _run(checkout, "peer_environment") == _run(checkout, "peer_environment") == 0
    (found,) = copy.rglob("*.pyc")  # not of a file that is lacking there, which Python could import
    assert found.samefile(base / found.relative_to(copy))
    assert found.name.startswith("shared.")
    assert not (copy / "added/__pycache__").exists()
