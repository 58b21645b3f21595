"""The study of damaged batches: each damage with every model, and a run of it that says what it came to."""

import json
from pathlib import Path

import pytest

from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.run import main as run

SMOKE = ("study=break_scvi", "dataset.size=smoke", "train=smoke", "seed=0")


def test_each_damage_meets_every_model(configurations: Configurations) -> None:
    points = [c.config for c in expand(SMOKE, configurations).combinations]
    damages = {(p.perturb.kind, getattr(p.perturb, "ratio", None)) for p in points}
    assert len(damages) == 10
    assert {p.model.name for p in points} == {"scvi", "scvi_mine", "scvi_mmd", "adversarial"}
    assert len(points) == 40


@pytest.mark.usefixtures("linear_probes")
def test_two_runs_of_its_smoke_form(in_tmp: Path, tiny: tuple[str, ...]) -> None:
    one = ("model=scvi", "zip(perturb=[none,expressed_genes],perturb.ratio=[1,0.1])")
    assert run(["-m", *SMOKE, *tiny, *one, "hydra.launcher.workers=0"]) == 0
    records = [json.loads(path.read_text()) for path in Path().glob("outputs/v1/break_scvi/**/record.json")]
    notes = {record["config"].get("perturb", {}).get("kind"): record["notes"] for record in records}
    assert "perturb" not in notes[None]
    assert notes["expressed_genes"]["perturb"].startswith("batch_0: expressed genes of a cell times 0.")
    assert len({record["split_id"] for record in records}) == 2
    assert len({record["config"]["dataset"]["sha256"] for record in records}) == 1
