import pytest

from bie import kernels
from bie.diagnosis.speed import epoch_ms, of_speed, of_threads


def test_a_sample_is_trained_and_timed():
    cpu, wall = epoch_ms(seconds=0.01)
    assert cpu > 0
    assert wall > 0


@pytest.mark.parametrize(
    ("as_wanted", "found", "state"),
    [
        (True, (18.0, 20.0), "ok"),
        (False, (28.0, 30.0), "warning"),  # no compiler
        (True, (80.0, 90.0), "warning"),  # a slow processor
        (True, (18.0, 90.0), "warning"),  # a busy one
    ],
)
def test_speed_beside_the_expected(as_wanted: bool, found: tuple[float, float], state: str):
    row = of_speed("compiled by cc", as_wanted, found, 20.0)
    assert row.state == state
    assert f"{found[0]} ms of CPU (20 expected)" in row.found


def test_the_path_is_named():
    assert of_speed(kernels.status(), True, (1.0, 1.0), 1.0).found.startswith(kernels.status())


def test_a_library_with_many_threads_is_told_what_to_export():
    assert of_threads([("openblas", "0.3", 1), ("openmp", None, 1)], 2).state == "ok"
    many = of_threads([("openblas", "0.3", 8)], 8)
    assert many.state == "warning"
    assert "OMP_NUM_THREADS=1" in many.remedy
