"""What the tests on a real Slurm share: two clusters, a finished sweep, the table of faults."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from .clusters import REQUIRED, LocalCluster, start
from .fault_table import Fault, markdown, write
from .sweeps import Sweep, copy_finished

FAULT = "fault"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes with four GPUs each, with accounting."""
    cluster = start(tmp_path_factory.mktemp("slurm"), "--nodes=2", "--cpus=4")
    yield cluster
    cluster("stop", "--wipe")


@pytest.fixture(scope="session")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node, arrays of at most two tasks, no accounting, jobs forgotten soon."""
    settings = ("--nodes=1", "--max-array=2", "--accounting=none", "--min-job-age=5")
    cluster = start(tmp_path_factory.mktemp("slurm"), *settings)
    yield cluster
    cluster("stop", "--wipe")


@pytest.fixture
def strict_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node that kills a job which takes more memory than it asked for; no accounting."""
    cluster = start(tmp_path_factory.mktemp("slurm"), "--nodes=1", "--accounting=none", "--memory=enforced")
    yield cluster
    cluster("stop", "--wipe")


@pytest.fixture(scope="session")
def finished(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep of two seeds to which nothing happened."""
    sweep = Sweep(cluster, tmp_path_factory.mktemp("finished"))
    sweep.launch("seed=0,1")
    sweep.wait_until_over()
    return sweep


@pytest.fixture
def sweep(cluster: LocalCluster, finished: Sweep, tmp_path: Path) -> Sweep:
    """A sweep on the cluster that has its seeds 0 and 1 done."""
    sweep = Sweep(cluster, tmp_path)
    copy_finished(finished, sweep)
    return sweep


@pytest.fixture
def small_disk() -> Iterator[Callable[..., Path]]:
    """Puts a folder onto a disk of its own that is soon full; only root can."""
    mounted = []

    def move(folder: Path, mib: int, files: int = 0) -> Path:
        aside = folder.rename(folder.with_name("aside"))
        folder.mkdir()
        mount("-t", "tmpfs", "-o", f"size={mib}m,nr_inodes={files}", "tmpfs", folder)
        mounted.append(folder)
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        return folder

    yield move
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], Callable[[], None]]]:
    """Lets a folder be read alone until the function that it gives is called; only root can."""
    mounted = []

    def freeze(folder: Path) -> Callable[[], None]:
        mount("--bind", folder, folder)
        mounted.append(folder)
        mount("-o", "remount,bind,ro", folder)
        return thaw

    def thaw() -> None:
        while mounted:
            subprocess.run(["umount", "--lazy", mounted.pop()], check=True)

    yield freeze
    thaw()


def mount(*arguments: str | Path) -> None:
    """Mount something; without the right to the test is skipped, or fails where it must not be."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        (pytest.fail if REQUIRED else pytest.skip)(f"cannot mount: {done.stderr.strip()}")


@pytest.fixture
def faults(record_property: Callable[[str, object], None]) -> Iterator[list[Fault]]:
    """Rows of the table that is printed at the end; they go with the report to the process that prints it."""
    rows = list[Fault]()
    yield rows
    for row in rows:
        record_property(FAULT, astuple(row))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First, as it takes longest to get through these: other processes do the rest meanwhile."""
    items.sort(key=lambda item: Path(__file__).parent not in item.path.parents)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Print the table of faults; if all went well, write it into the guide that ``BIE_FAULT_TABLE`` names."""
    ended = [report for report in terminalreporter.stats.get("", []) if report.when == "teardown"]
    properties = [each for report in ended for each in report.user_properties]
    if faults := [Fault(*row) for name, row in properties if name == FAULT]:
        terminalreporter.section("what became of a sweep")
        terminalreporter.line(markdown(faults))
        guide = os.environ.get("BIE_FAULT_TABLE")
        if guide and exitstatus == 0:
            write(Path(guide), faults)
