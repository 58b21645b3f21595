import sys
from pathlib import Path

import pytest

from bie.store.environment import Difference, changed, differences, installed, needed, pinned


def test_a_lock_with_hashes_comments_and_markers():
    text = '# torch==9\nnumpy==2.1.0 \\\n    --hash=sha256:00\nPOT==0.9 ; python_version >= "3.11"\n'
    assert pinned(text) == {"numpy": "2.1.0", "pot": "0.9"}


def test_what_is_first_on_the_path_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in (
        "a/Scikit_Learn-1.5.dist-info",
        "b/scikit_learn-1.4.dist-info",
        "b/six-1.0-py3.11.egg-info",
    ):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "none"), str(tmp_path / "b")])
    assert installed() == {"scikit-learn": "1.5", "six": "1.0"}


def test_this_environment_is_found():
    import numpy

    assert installed()["numpy"] == numpy.__version__


def test_bie_needs_what_its_requirements_need():
    assert {"numpy", "torch", "antlr4-python3-runtime"} <= needed()
    assert "ruff" not in needed()


def test_only_what_a_run_can_need_differs():
    noted = {"numpy": "2.0", "ruff": "0.1", "scipy": "1.0", "torch": "2.13.0"}
    here = {"numpy": "2.1", "ruff": "0.2", "torch": "2.13.0+cpu"}
    numpy, scipy = Difference("numpy", "2.0", "2.1"), Difference("scipy", "1.0", None)
    assert differences(noted, here) == [numpy, scipy]
    assert changed(noted, here) == [numpy]
    assert changed({"scipy": "1.0"}, {}) == []
    assert str(numpy) == "numpy 2.1 (not 2.0)"


@pytest.mark.parametrize("serves", ["", "-3.12"])
def test_the_locks_with_hashes_are_those_without(serves: str):
    folder = Path(__file__).parents[2]
    plain, hashed, cuda = (
        (folder / f"requirements{kind}{serves}.lock").read_text() for kind in ("", "-hashed", "-cuda")
    )
    locked = pinned(plain)
    assert pinned(hashed) == {name: version for name, version in locked.items() if name != "torch"}
    assert locked.items() <= pinned(cuda).items()
    assert {"nvidia-cublas", "triton"} <= pinned(cuda).keys()
    for text in (hashed, cuda):
        pins = text.count("==") - text.count("=='")  # those of markers
        assert text.count(" \\\n    --hash=sha256:") >= len(pinned(text)) == pins
        assert "http" not in text
