"""The clusters that the tests share; gone at the end."""

from collections.abc import Iterator

import pytest

from .clusters import LocalCluster, start


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes with four GPUs each, with accounting."""
    cluster = start(tmp_path_factory.mktemp("slurm"), "--nodes", "2", "--cpus", "4")
    yield cluster
    cluster("stop", "--wipe")


@pytest.fixture(scope="session")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node, arrays of at most four tasks, no accounting, jobs forgotten soon."""
    settings = ["--nodes=1", "--gpus=0", "--max-array=4", "--accounting=none", "--min-job-age=10"]
    cluster = start(tmp_path_factory.mktemp("slurm"), *settings)
    yield cluster
    cluster("stop", "--wipe")
