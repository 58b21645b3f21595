import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from bie import devices
from bie.analysis.processes import in_order
from bie.errors import BadInput


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 2)


def called(work: Callable[[], object]) -> object:
    return work()


def test_other_processes_do_it_with_what_is_here() -> None:
    given = {i: object() for i in range(5)}  # which could not be pickled
    found = list(in_order(lambda i: (i, id(given[i]), os.getpid()), given))
    assert [each[:2] for each in found] == [(i, id(each)) for i, each in given.items()]
    assert os.getpid() not in {process for _, _, process in found}


def test_their_errors_are_raised_here() -> None:
    def work() -> None:
        raise OSError(28, "No space left on device", "runs.parquet")

    found = in_order(called, [os.getpid, work])
    assert next(found) != os.getpid()
    with pytest.raises(OSError, match="No space left") as raised:
        next(found)
    assert raised.value.filename == "runs.parquet"


def test_one_that_is_killed_is_said() -> None:
    with pytest.raises(BadInput, match="for want of memory"):
        list(in_order(called, [lambda: os.kill(os.getpid(), signal.SIGKILL)] * 2))


def test_with_one_core_or_for_one_item_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(in_order(called, [os.getpid])) == [os.getpid()]
    monkeypatch.setattr(devices, "cores", lambda: 1)
    assert list(in_order(called, [os.getpid] * 2)) == [os.getpid()] * 2


def test_maps_are_made_in_forks_of_a_process_whose_libraries_have_threads() -> None:
    """Of more than 15 dimensions scikit-learn looks for neighbours with OpenMP."""
    code = """
import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from bie import devices
from bie.analysis.figures.maps import project
from bie.analysis.processes import in_order
z = np.random.default_rng(0).normal(size=(1500, 20))
with threadpool_limits(2):
    NearestNeighbors(n_neighbors=15).fit(z).kneighbors(z)
    devices.cores = lambda: 2
    print(list(in_order(lambda i: project(z[:600])[1], range(2))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("['"), done.stderr
