"""What trackers are told of a run, and what is said where one is not installed."""

import os
import sys
from collections.abc import Callable

import pytest

from bie.analysis.study import read_study
from bie.analysis.tracking.runs import tracked_runs
from bie.report import main
from bie.store.paths import Tree
from tests.analysis.conftest import Disk, Point


def test_settings_numbers_and_where_they_come_from(disk: Disk, point: Callable[..., Point]):
    mine = point("scvi_mine", mine__scale=50)
    disk.plan([mine, point("scvi_mine", mine__scale=10)], range(3))
    disk.failure(mine, 1, "nan")
    path = disk.record(mine, 0, {"ari": 0.5, "be": None}, {"ari": 0.25}, missing={"be": "one batch"})
    os.utime(path, (1000, 1000))
    (path.parent / "history.csv").write_text("epoch,train_loss,test_loss\n1,9,8\n2,7,\n")
    tree = Tree(disk.root)
    done, failed = tracked_runs(tree, read_study(tree))
    assert dict(done.metrics) == {"test/ari": 0.5, "train/ari": 0.25}
    assert dict(done.history[1]) == {"history/train_loss": 9, "history/test_loss": 8}
    assert dict(done.history[2]) == {"history/train_loss": 7}
    assert done.settings["mine.scale"] == 50
    assert done.settings["seed"] == 0
    assert done.origin["config_id"] == mine.id
    assert done.origin["provenance.git_commit"] == "a" * 40
    assert [each.name for each in done.files] == ["record.json", "history.csv"]
    assert (done.ended, done.key, failed.key) == (1000, f"{mine.id[:12]}-0000", f"{mine.id[:12]}-0001")
    assert (done.name, failed.name) == ("zinb scvi_mine scale=50 seed=0", "zinb scvi_mine scale=50 seed=1")
    assert failed.failed
    assert failed.origin["cause"] == "nan"
    assert not failed.metrics
    assert failed.settings["mine.scale"] == 50


@pytest.mark.parametrize(("package", "also"), [("mlflow", "-skinny sqlalchemy alembic"), ("wandb", "")])
def test_a_missing_package_is_one_line_and_nothing_is_written(
    package: str,
    also: str,
    disk: Disk,
    point: Callable[..., Point],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setitem(sys.modules, package, None)
    disk.record(point(), 0, {"ari": 0.5})
    assert main([str(disk.root), f"--{package}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"pip install {package}{also}")
    assert not (disk.root / "report").exists()
