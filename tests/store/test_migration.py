"""Records that were made before: what bie has become since must know them again."""

import json
from pathlib import Path

import pytest

from bie.analysis.parse import Parser
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id, run_id, scientific, split_id

HERE = Path(__file__).parent
IDENTITIES = json.loads((HERE / "identities.json").read_text())
"""Of commands as typed, on cells with these hashes, by bie 0.1.0 of 29 November 2026."""
HASHES = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}
RECORD = HERE / "record-schema-1.json"
"""As that bie wrote it."""


@pytest.mark.parametrize("typed", IDENTITIES)
def test_a_run_keeps_its_identity(typed: str, configurations: Configurations):
    """What fails here makes every record of today foreign: studies would be computed again.

    A field that is added to a section does not: with None as its default, for what all runs did before it, it
    is left out of the identity (`bie.schema.Section.scientific`); so is what `inactive` names.
    """
    config = expand(typed.split(), configurations).combinations[0].config
    plain = scientific(config, HASHES)
    seed = plain["seed"]
    found = {
        "config_id": config_id(plain),
        "run_id": run_id(plain, seed),
        "split_id": split_id(plain, seed),
    }
    assert found == IDENTITIES[typed]


def test_a_record_of_today_says_itself_what_it_is():
    record = json.loads(RECORD.read_text())
    seed = record["seed"]
    assert record["schema"] == 1
    assert config_id(record["config"]) == record["config_id"]
    assert run_id(record["config"], seed) == record["run_id"]
    assert split_id(record["config"], seed) == record["split_id"]


def test_a_record_of_today_is_read():
    row = Parser().record(str(RECORD))
    record = json.loads(RECORD.read_text())
    assert (row["state"], row["run_id"]) == ("done", record["run_id"])
    assert row["test"] == record["metrics"]["test"]


def test_a_record_of_a_later_schema_is_not_misread(tmp_path: Path):
    path = tmp_path / "zinb" / "scvi" / "abcdef123456" / "seed=0000" / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(json.loads(RECORD.read_text()) | {"schema": 2}))
    assert Parser().record(str(path))["state"] == "unreadable"
