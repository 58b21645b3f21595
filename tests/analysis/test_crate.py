"""A study as an RO-Crate, read by the library of its makers."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from bie.report import main
from tests.analysis.conftest import Disk, Point


def test_a_crate_names_every_file_and_what_made_it(disk: Disk, point: Callable[..., Point]):
    scvi, mine = point(), point("scvi_mine", mine__scale=50)
    disk.plan([scvi, mine], [0, 1])
    for each in (scvi, mine):
        disk.record(each, 0, {"ari": 0.5})
    disk.record(scvi, 1, {"ari": 0.6})
    disk.failure(mine, 1, "nan")
    (disk.folder(scvi, 0) / "my model.pt").touch()
    (disk.folder(scvi, 0) / ".half").touch()
    assert main([str(disk.root), "--no-figures", "--crate"]) == 1  # a run has failed
    crate = ROCrate(disk.root)
    assert crate.name == "adhoc"
    assert crate.root_dataset["conformsTo"].id.startswith("https://w3id.org/ro/wfrun/process/")
    files = {
        Path(disk.root, entity.id.replace("%20", " "))
        for entity in crate.data_entities
        if entity.type == "File"
    }
    there = {path for path in disk.root.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert files == there - {disk.root / "ro-crate-metadata.json"}
    assert disk.root / "report" / "index.html" in files
    assert crate.root_dataset["license"]["description"].startswith("A crate must say")
    actions = {e["name"]: e for e in crate.get_entities() if e.type == "CreateAction"}
    assert len(actions) == 4
    own = actions["zinb scvi seed=0"]
    assert sorted(Path(result.id).name for result in own["result"]) == ["my%20model.pt", "record.json"]
    record = json.loads((disk.folder(scvi, 0) / "record.json").read_text())
    assert own["identifier"] == record["run_id"]
    assert datetime.fromisoformat(own["endTime"]).timestamp() == pytest.approx(time.time(), abs=600)
    assert own["instrument"]["identifier"] == "b" * 12
    values = {entity["value"] for entity in own["object"] if entity.get("name") == "config_id"}
    assert values == {scvi.id}
    assert [entity["value"] for entity in own["object"] if entity.get("name") == "seed"] == ["0"]
    failed = actions["zinb scvi_mine seed=1"]
    assert failed["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert failed["error"] == "nan"
    for action in actions.values():  # nothing refers to what is not there
        for key in ("instrument", "object", "result"):
            found = action[key] if isinstance(action[key], list) else [action[key]]
            assert all(not isinstance(entity, str) for entity in found)
    assert all(isinstance(e, ContextEntity) for e in actions.values())


def test_a_crate_can_be_made_again(disk: Disk, point: Callable[..., Point]):
    disk.record(point(), 0, {"ari": 0.5})
    for _ in range(2):
        assert main([str(disk.root), "--no-figures", "--crate"]) == 0
    assert ROCrate(disk.root).name == "adhoc"
