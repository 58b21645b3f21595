import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bie.errors import BadInput
from bie.reproduction.origin import origin_of, source_sha256
from bie.reproduction.rerun import rerun
from bie.store.identity import config_id, run_id, sha256
from bie.store.launches import POINTS, SOURCE
from bie.store.paths import Tree
from bie.store.record import RECORD

CONFIG: dict[str, Any] = {"dataset": {"name": "zinb", "sha256": "0" * 64}, "model": {"name": "scvi"}}
"""As it was while a data set had one hash alone, and its name was part of the identity."""


def _finished(tree: Tree, plain: dict[str, Any], **changed: object) -> Path:
    """Folder of a finished run, noted by a launch that froze a source of one file."""
    plain = plain | {"seed": 3}
    launch = tree.launches / "20261129-000000-abcd"
    launch.mkdir(parents=True)
    with zipfile.ZipFile(launch / SOURCE, "w") as source:
        source.writestr("src/bie/__init__.py", "")
    (launch / POINTS).write_text(json.dumps({config_id(plain): {}}))
    folder = tree.run_dir("zinb", "scvi", config_id(plain), 3)
    folder.mkdir(parents=True)
    provenance = {"source_sha256": source_sha256(launch / SOURCE)}
    ids = {"schema": 1, "config_id": config_id(plain), "run_id": run_id(plain, 3), "seed": 3}
    record = ids | {"config": plain, "metrics": {}, "provenance": provenance}
    (folder / RECORD).write_text(json.dumps(record | changed))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "v1" / "study")


def test_a_record_of_before_the_name_left_the_identity_is_itself(tree: Tree):
    assert config_id(CONFIG) == sha256(CONFIG)  # with the name
    assert origin_of(tree, _finished(tree, CONFIG)).record["seed"] == 3


def test_a_record_whose_configuration_was_changed_is_not(tree: Tree):
    other = {**CONFIG, "dataset": CONFIG["dataset"] | {"name": "other"}, "seed": 3}
    folder = _finished(tree, CONFIG, config=other)
    with pytest.raises(BadInput, match="not those that its ids were made of"):
        origin_of(tree, folder)


def test_a_source_older_than_this_command_is_refused_with_what_to_do(tree: Tree, tmp_path: Path):
    origin = origin_of(tree, _finished(tree, CONFIG))
    with pytest.raises(BadInput, match=r"source\.zip.*older than bie reproduce.*argv"):
        rerun(origin, tmp_path / "no-python")
