"""Our scVI beside that of scvi-tools 1.4.2 on two real data sets, at the settings of scvi-tools.

    python benchmarks/peer_quality.py --data FOLDER --out FOLDER

`--data` holds pbmc3k4k.h5ad and kang18_ifnb.h5ad. Each run leaves a JSON file under `--out`; runs that are
there are not made again. The table in docs/peer-quality.md is what this prints in the end.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from bie.config import RunConfig
from bie.data.load import load
from bie.experiment import experiment

ROOT = Path(__file__).parents[1]

SETTINGS = [
    "dataset=h5ad",
    "dataset.batch_key=batch",
    "dataset.label_key=cell_type",
    "model.library=observed",
    "train.epochs=200",
    "train.weight_decay=1e-6",
]
"""Where scvi-tools differs from our defaults."""

METRICS = ("asw", "nmi", "ari", "uca", "be")

PEER: dict[str, dict[str, Any]] = {
    "pbmc3k4k": {
        "test": {
            "asw": (0.238, 0.017),
            "nmi": (0.686, 0.030),
            "ari": (0.491, 0.051),
            "uca": (0.634, 0.019),
            "be": (0.312, 0.049),
        },
        "train": {"asw": 0.187, "nmi": 0.694, "ari": 0.468, "uca": 0.621, "be": 0.392},
        "seconds": 617,
    },
    "kang18_ifnb": {
        "test": {
            "asw": (0.099, 0.014),
            "nmi": (0.617, 0.014),
            "ari": (0.500, 0.056),
            "uca": (0.660, 0.043),
            "be": (0.552, 0.022),
        },
        "train": {"asw": 0.072, "nmi": 0.582, "ari": 0.429, "uca": 0.578, "be": 0.622},
        "seconds": 428,
    },
}
"""scvi-tools 1.4.2, three seeds: mean and sd of test cells, mean of training cells."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.seeds):
        for name in PEER:
            run(arguments.data / f"{name}.h5ad", seed, arguments.out / f"{name}-seed={seed}.json")
    print(table(arguments.out))


def run(path: Path, seed: int, out: Path) -> None:
    if out.exists():
        return
    start = time.perf_counter()
    config = configuration(path, seed)
    result = experiment(config, load(config.dataset), lambda row: None)
    seconds = {**result.seconds, "total": time.perf_counter() - start}
    out.write_text(json.dumps({"metrics": result.metrics, "seconds": seconds, "last": result.history[-1]}))
    print(out.stem, {name: round(result.metrics["test"][name] or 0.0, 3) for name in METRICS}, flush=True)


def configuration(path: Path, seed: int) -> RunConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose(
            "config", [*SETTINGS, f"dataset.path={path}", f"dataset.name={path.stem}", f"seed={seed}"]
        )
    values = OmegaConf.to_container(composed)
    assert isinstance(values, dict)
    return RunConfig.model_validate(
        {str(key): values[key] for key in values if key in RunConfig.model_fields}
    )


def table(folder: Path) -> str:
    """Markdown: test cells mean±sd over seeds, training cells in brackets."""
    rows = ["| data | who | seeds | ASW | NMI | ARI | UCA | BE | s per run |", "|---" * 9 + "|"]
    for name, peer in PEER.items():
        runs = [json.loads(path.read_text()) for path in sorted(folder.glob(f"{name}-*.json"))]
        theirs = [
            f"{m:.3f}±{sd:.3f} [{peer['train'][metric]:.3f}]" for metric, (m, sd) in peer["test"].items()
        ]
        rows.append(line(name, "scvi-tools", 3, theirs, peer["seconds"]))
        if len(runs) > 1:
            rows.append(
                line(
                    name,
                    "bie",
                    len(runs),
                    [cell(runs, m) for m in METRICS],
                    mean(r["seconds"]["total"] for r in runs),
                )
            )
    return "\n".join(rows)


def cell(runs: list[dict[str, Any]], metric: str) -> str:
    test, train = ([run["metrics"][part][metric] for run in runs] for part in ("test", "train"))
    return f"{mean(test):.3f}±{stdev(test):.3f} [{mean(train):.3f}]"


def line(name: str, who: str, n: int, cells: list[str], seconds: float) -> str:
    return " | ".join([f"| {name}", who, str(n), *cells, f"{seconds:.0f} |"])


if __name__ == "__main__":
    main()
