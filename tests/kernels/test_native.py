import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from bie.errors import BadInput
from bie.kernels import build, fused, is_active, native, status
from bie.training import graph

fresh = native.kernels.__wrapped__  # without the cache of the process
compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-O0"))  # soon compiled, and never called
    for name in ("BIE_KERNELS", "CC"):
        monkeypatch.delenv(name, raising=False)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@compiler
@pytest.mark.skipif(os.environ.get("BIE_KERNELS") == "torch", reason="BIE_KERNELS=torch")
def test_the_fast_path_is_taken_where_there_is_a_compiler() -> None:
    assert is_active()
    assert status().startswith("compiled by ")


def test_the_plain_path_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIE_KERNELS", "torch")
    assert fresh() == (None, "torch, as BIE_KERNELS=torch asks for")


@pytest.mark.parametrize("asked", [fresh, partial(fused.is_active, "cuda"), partial(graph.status, "cuda")])
def test_another_wish_is_refused(asked: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """By all that it turns on and off."""
    monkeypatch.setenv("BIE_KERNELS", "fast")
    with pytest.raises(BadInput, match=r"BIE_KERNELS=fast .* the only value is torch"):
        asked()


def test_triton_is_looked_for_once_and_never_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none a look-up takes longer than a small operation, and every forward asks."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    looked = Mock(return_value=None)
    monkeypatch.setattr(fused, "find_spec", looked)
    monkeypatch.setattr(fused, "_has_triton", cache(fused._has_triton.__wrapped__))
    x_ng = torch.ones(2, 3)
    assert not any(fused.takes(x_ng, x_ng[:1]) for _ in range(3))
    assert looked.call_count == 0
    assert not any(fused.is_active("cuda") for _ in range(3))
    assert looked.call_count == 1


@pytest.mark.parametrize("said", ["no-such-compiler", "no-such-compiler -pipe", "cc 'half a word"])
def test_a_compiler_that_is_not_there_is_named(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", said)
    library, line = fresh()
    assert library is None
    assert f"CC={said} in the environment names no program; install gcc or clang" in line


def test_no_compiler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fresh().status.startswith("torch, since there is no C compiler; install gcc or clang")


@compiler
def test_a_compiler_without_name_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for nothing in ("", " "):
        monkeypatch.setenv("CC", nothing)
        assert fresh().library is not None


@compiler
def test_options_of_the_compiler_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They make another library, and its status says so."""
    told = script(tmp_path / "told", f'echo "$@" >> {tmp_path}/words; exec cc "$@"')
    monkeypatch.setenv("CC", f"{told} -pipe '-DWORD=two words'")
    library, line = fresh()
    assert library is not None
    assert line.endswith(" -pipe -DWORD=two words")
    asked, compiled = (tmp_path / "words").read_text().splitlines()
    assert asked == "-pipe -DWORD=two words --version"
    assert compiled.startswith("-pipe -DWORD=two words -std=c11")
    assert [file.stem for file in (tmp_path / "cache").iterdir()] == [
        build.key(line.removeprefix("compiled by "))
    ]


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = 'case "$1" in --version) echo old 0.1;; *) echo "x.c:1: error: too new" >&2; exit 1;; esac'
    monkeypatch.setenv("CC", str(script(tmp_path / "oldcc", failing)))
    library, line = fresh()
    assert library is None
    assert line == "torch, since oldcc failed to compile the kernels: x.c:1: error: too new"
    assert not list((tmp_path / "cache").iterdir())


@compiler
def test_compiles_once(tmp_path: Path) -> None:
    assert fresh().library is not None
    (file,) = (tmp_path / "cache").iterdir()
    before = file.stat().st_mtime_ns
    assert fresh().library is not None
    assert [f.stat().st_mtime_ns for f in (tmp_path / "cache").iterdir()] == [before]


@compiler
def test_workers_that_start_together_find_whole_files(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fresh(), range(4)))
    assert all(isinstance(one.library, ctypes.CDLL) for one in found)
    assert len(list((tmp_path / "cache").iterdir())) == 1


@compiler
def test_a_cache_that_cannot_be_written_costs_a_compilation_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(build, "_cache_folder", lambda: tmp_path / "file" / "cache")
    assert fresh().library is not None


def test_the_key_follows_what_makes_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {build.key("gcc 12"), build.key("gcc 13")}
    monkeypatch.setattr(build, "_processor", lambda: "another")
    keys.add(build.key("gcc 12"))
    monkeypatch.setattr(build, "FLAGS", ("-O2",))
    keys.add(build.key("gcc 12"))
    assert len(keys) == 4


@pytest.mark.skipif(not is_active(), reason="no compiled kernels")
def test_double_precision_is_refused() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    with pytest.raises(TypeError, match="single precision"):
        native.call("multiply", 1, 1, one, one, one, one, one)


def test_torch_stays_unloaded() -> None:
    code = "import sys, bie.kernels; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
