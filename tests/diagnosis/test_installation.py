import sys

import pytest

from bie.diagnosis import installation
from bie.diagnosis.installation import against_driver, of_differences, of_memory, python
from bie.store.environment import Difference


def test_this_python_is_one_that_bie_is_tested_with():
    assert python().state == "ok"


@pytest.mark.parametrize(("version", "state"), [((3, 9), "problem"), ((3, 99), "warning")])
def test_another_python(version: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "version_info", version)
    assert python().state == state
    assert "3.11 to 3.13" in python().remedy


def test_a_bie_that_is_not_installed_is_not_taken_for_one_as_locked(monkeypatch: pytest.MonkeyPatch):
    """A checkout on PYTHONPATH: without its requirements nothing can differ."""
    monkeypatch.setattr(installation, "needed", frozenset)
    assert installation.lock().state == "warning"


def test_differences_from_the_lock_are_named():
    assert of_differences("x.lock", []).state == "ok"
    other = of_differences("x.lock", [Difference("numpy", "2.0", "2.1")])
    assert (other.state, other.found) == ("warning", "1 not as in x.lock: numpy 2.1 (not 2.0)")
    assert of_differences("x.lock", [Difference("numpy", "2.0", None)]).state == "problem"


@pytest.mark.parametrize(
    ("built_for", "driver", "n_gpus", "state"),
    [
        (None, None, 0, "ok"),  # the CPU alone
        (None, (12, 4), 1, "warning"),  # a GPU that lies idle
        ("12.8", None, 0, "ok"),  # a login node
        ("12.8", (12, 4), 1, "ok"),  # a minor version behind: CUDA allows it
        ("11.8", (12, 4), 1, "ok"),
        ("13.0", (12, 4), 1, "problem"),
    ],
)
def test_torch_against_the_driver(
    built_for: str | None, driver: tuple[int, int] | None, n_gpus: int, state: str
):
    row = against_driver("2.13.0", built_for, driver, n_gpus)
    assert row.state == state
    assert bool(row.remedy) == (state != "ok")


def test_a_gpu_without_room():
    assert of_memory("A100, 39000, 40960\nA100, 100, 40960\n").state == "ok"
    full = of_memory("A100, 100, 40960\n")
    assert (full.state, full.found) == ("warning", "A100, 100 of 40,960 MiB free")


def test_an_nvidia_smi_that_fails_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    def fails(*arguments: object, **options: object) -> None:
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr("bie.devices.gpus", lambda: 1)
    monkeypatch.setattr("subprocess.run", fails)
    assert installation.gpu().state == "warning"
