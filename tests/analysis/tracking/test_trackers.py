"""Exports as their own packages read them: these are in the environment of scripts/peers."""

import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bie.report import main
from tests.analysis.conftest import Disk, Point

MISSING = "not installed: scripts/peers makes an environment with it"


@pytest.fixture
def study(tmp_path: Path, point: Callable[..., Point], monkeypatch: pytest.MonkeyPatch) -> Disk:
    """One finished run with a history, one that failed; no connection to anywhere but this machine."""
    disk = Disk(tmp_path / "a 50%20 #1?" / "outputs" / "v1" / "adhoc")
    disk.plan([point()], range(2))
    path = disk.record(point(), 0, {"ari": 0.5})
    (path.parent / "history.csv").write_text("epoch,train_loss\n1,9\n2,7.5\n")
    disk.failure(point(), 1, "nan")
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert isinstance(address, str) or address[0] in ("127.0.0.1", "localhost", "::1"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)
    return disk


def export(disk: Disk, tracker: str) -> None:
    assert main([str(disk.root), "--no-runs", "--no-figures", f"--{tracker}"]) in (0, 1)


def test_mlflow_has_each_run_once(study: Disk, point: Callable[..., Point]):
    mlflow = pytest.importorskip("mlflow", reason=MISSING)
    pytest.importorskip("sqlalchemy", reason=MISSING)
    for _ in range(2):
        export(study, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{quote(str(study.root))}/report/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("adhoc").experiment_id
    runs = {run.info.status: run for run in client.search_runs([experiment])}
    assert sorted(runs) == ["FAILED", "FINISHED"]
    done = runs["FINISHED"]
    assert done.data.params["model.n_latent"] == "10"
    assert done.data.metrics["test/ari"] == 0.5
    losses = client.get_metric_history(done.info.run_id, "history/train_loss")
    assert [(each.step, each.value) for each in losses] == [(1, 9.0), (2, 7.5)]
    assert done.data.tags["bie.config_id"] == point().id
    assert done.info.end_time - done.info.start_time == 0  # this record does not say how long it took
    files = {each.path for each in client.list_artifacts(done.info.run_id)}
    assert files == {"record.json", "history.csv"}
    assert runs["FAILED"].data.tags["bie.cause"] == "nan"
    study.record(point(), 1, {"ari": 0.75})  # the run that failed is done
    export(study, "mlflow")
    found = client.search_runs([experiment])
    assert sorted(run.data.metrics["test/ari"] for run in found) == [0.5, 0.75]


def test_wandb_has_each_run_once_in_its_offline_form(study: Disk, point: Callable[..., Point]):
    pytest.importorskip("wandb", reason=MISSING)
    for _ in range(2):
        export(study, "wandb")
    folder = study.root / "report" / "wandb"
    done, failed = sorted(folder.iterdir(), key=lambda path: path.name.rpartition("-")[0][-4:])
    assert sorted(path.name for path in (done / "files").iterdir()) == ["history.csv", "record.json"]
    assert not (done / "files" / "record.json").is_symlink()
    said = list(records(done))
    (run,) = (each.run for each in said if each.HasField("run"))
    config = {item.key: item.value_json for item in run.config.update}
    assert (run.project, run.run_id) == ("adhoc", done.name.partition("-run-")[2].partition("-")[2])
    assert '"n_latent"' in config["model"]
    assert point().id in config["bie"]
    assert '"ended"' in config["bie"]
    assert run.host == ""  # of the record, which has none here, not of this copy
    assert values(each.history.item for each in said)["history/train_loss"] == ["9", "7.5"]
    assert values(each.summary.update for each in said)["test/ari"] == ["0.5"]
    assert [each.exit.exit_code for each in said if each.HasField("exit")] == [0]
    assert [each.exit.exit_code for each in records(failed) if each.HasField("exit")] == [1]
    study.record(point(), 1, {"ari": 0.75})  # the run that failed is done
    export(study, "wandb")
    assert len(list(folder.iterdir())) == 2
    assert not failed.exists()


def values(parts: Iterable[Any]) -> dict[str, list[str]]:
    """Values in JSON by their names, in order."""
    found: dict[str, list[str]] = {}
    for item in (item for part in parts for item in part):
        found.setdefault(item.key or item.nested_key[0], []).append(item.value_json)
    return found


def records(folder: Path) -> Iterator[Any]:
    """What a ``.wandb`` file holds: a log of LevelDB's form behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # nothing begins in the last bytes of a block
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # full, last
            yield Record.FromString(whole)
            whole = b""
