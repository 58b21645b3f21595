"""Which path training takes here, how fast it is, and how many threads the libraries take."""

import contextlib
import time
from collections.abc import Sequence

from bie import devices, kernels
from bie.diagnosis.check import Row

SAMPLE_S = 1.0
"""Seconds of training that the speed is taken from."""
EXPECTED_MS = {"compiled": 18.0, "torch": 28.0}
"""Milliseconds of CPU for an epoch of `_SAMPLE` on one core of a Xeon at 2.5 GHz; see docs/reproduce.md."""
SLOW = 3.0
"""How many times slower an epoch may be before something is wrong rather than the processor older."""
_SAMPLE = ("dataset=zinb", "dataset.size=smoke", "model=scvi", "train.epochs=100000", "train.batch_size=128")


class _Enough(Exception):  # noqa: N818
    """The sample has been taken."""


def training() -> Row:
    """The kernels: compiled, or why not; and the speed of a training beside the expected one."""
    status, wanted = kernels.status(), kernels.are_wanted()
    expected = EXPECTED_MS["compiled" if kernels.is_active() else "torch"]
    return of_speed(status, kernels.is_active() or not wanted, epoch_ms(), expected)


def of_speed(status: str, as_wanted: bool, found_ms: tuple[float, float], expected_ms: float) -> Row:
    """Row of a path and its speed.

    Parameters
    ----------
    status
        Of the kernels, `bie.kernels.status`.
    as_wanted
        Whether the compiled kernels are there, or nobody wants them.
    found_ms, expected_ms
        Of an epoch: CPU time and wall time that it took; CPU time that it may take.
    """
    cpu, wall = found_ms
    took = f"{cpu:.1f} ms of CPU ({expected_ms:.0f} expected), {wall:.1f} ms by the clock"
    said = f"{status}; a sample's epoch takes {took}"
    if not as_wanted:
        return Row("kernels", "warning", said, "A C compiler (gcc, clang) makes training three times as fast")
    if cpu > SLOW * expected_ms:
        return Row("kernels", "warning", said, "The processor is an old one, or has been slowed down")
    if wall > SLOW * cpu:
        return Row("kernels", "warning", said, "Others have the cores: fewer workers, or another machine")
    return Row("kernels", "ok", said)


def epoch_ms(seconds: float = SAMPLE_S) -> tuple[float, float]:
    """Milliseconds of CPU and by the clock for an epoch of scVI on 400 simulated cells, one thread."""
    import torch

    from bie.data.load import load
    from bie.experiment import experiment
    from bie.planning.compose import Configurations
    from bie.planning.expand import expand
    from bie.store.provenance import configuration_folder

    torch.set_num_threads(1)
    config = expand(_SAMPLE, Configurations(configuration_folder())).combinations[0].config
    cells = load(config.dataset)
    ticks: list[tuple[float, float]] = []

    def tick(row: dict[str, float]) -> None:
        ticks.append((time.process_time(), time.perf_counter()))
        if ticks[-1][1] - ticks[0][1] >= seconds:
            raise _Enough

    with contextlib.suppress(_Enough):
        experiment(config, cells, tick)
    cpu, wall = (
        1000 * (last - first) / (len(ticks) - 1) for first, last in zip(ticks[0], ticks[-1], strict=True)
    )
    return cpu, wall


def threads() -> Row:
    """Whether the numeric libraries keep to the one thread that bie gives each of its processes."""
    import numpy  # noqa: F401 - loads its BLAS
    import torch  # noqa: F401 - and torch its own
    from threadpoolctl import threadpool_info

    pools = [(pool["internal_api"], pool.get("version"), pool["num_threads"]) for pool in threadpool_info()]
    return of_threads(pools, devices.cores())


def of_threads(pools: Sequence[tuple[str, str | None, int]], cores: int) -> Row:
    """Row of libraries with their versions and threads.

    >>> of_threads([("openblas", "0.3.30", 1)], 4).found
    'openblas 0.3.30: 1 thread; 4 cores for workers'
    """
    shown = sorted(
        {
            f"{' '.join(filter(None, (name, version)))}: {n} thread{'s' * (n > 1)}"
            for name, version, n in pools
        }
    )
    found = f"{', '.join(shown)}; {cores} core{'s' * (cores > 1)} for workers"
    if any(n > 1 for *_, n in pools):
        remedy = "export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
        return Row("BLAS threads", "warning", found, remedy)
    return Row("BLAS threads", "ok", found)
