"""The worked examples of docs/extending.md: added to a copy of the code as add.py says, then run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs.examples.add import add

ROOT = Path(__file__).parents[2]
RUN = (
    "-m bie.run -m study=coral coral.scale=100 train=smoke train.epochs=2 seed=0 metrics.kmeans.n_init=1 "
    "hydra.launcher.workers=0"
)


def test_a_dataset_a_penalty_a_metric_and_a_study_run_together(tmp_path: Path):
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    add(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *RUN.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    records = [json.loads(path.read_text()) for path in tmp_path.glob("outputs/v1/coral/runs/**/record.json")]
    by_model = {record["config"]["model"]["name"]: record for record in records}
    assert by_model.keys() == {"scvi", "scvi_coral"}
    assert all(record["metrics"]["test"]["centroid_distance"] > 0 for record in records)
    assert by_model["scvi_coral"]["history_tail"]["train_coral"] > 0
    assert by_model["scvi_coral"]["config"]["dataset"]["source"] == "blobs"
