"""The scale of each penalty by the rule of docs/studies/referee.md, from the runs of study=referee_tuning.

    python -m bie.run -m study=referee_tuning
    python -m benchmarks.referee outputs/v1/referee_tuning

Of the scales of a grid that is the same for all, the one with the highest mean over the splits of

    (min(1, BE of ceiling) + ARI) / 2,

test cells, so that what removes the batch and what keeps the types weigh alike; of equal ones the lowest. One
at an end of the grid that is better than its neighbour says that the grid is too short.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from bie.config.penalties import sections
from bie.store.paths import Tree
from bie.store.record import RECORD, read_all

Scores = dict[str, dict[float, list[float]]]  # of model, scale


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    print("\n".join(table(read(parser.parse_args().tree))))


def read(tree: Path) -> Scores:
    """Scores of all runs of penalised models."""
    scores: Scores = defaultdict(lambda: defaultdict(list))
    for path, record in read_all(Tree(tree), RECORD):
        assert record is not None, path
        config, found = record["config"], score(record["metrics"]["test"])
        for name in sections().keys() & config.keys():
            scores[config["model"]["name"]][config[name]["scale"]].append(found)
    return scores


def score(metrics: Mapping[str, Any]) -> float:
    """Of one run, by its test cells."""
    return float(min(1.0, metrics["be_ratio"]) + metrics["ari"]) / 2


def chosen(scores: Mapping[float, list[float]]) -> float:
    """The scale of one model."""
    means = {scale: mean(found) for scale, found in sorted(scores.items())}
    return max(means, key=means.__getitem__)


def table(scores: Scores) -> list[str]:
    """Mean scores by scale, the chosen one in bold, as Markdown."""
    scales = sorted({scale for found in scores.values() for scale in found})
    lines = [f"| model | {' | '.join(f'{scale:g}' for scale in scales)} |", "|---" * (1 + len(scales)) + "|"]
    for model, found in scores.items():
        best = chosen(found)
        cells = ["" if s not in found else f"{mean(found[s]):.3f}" for s in scales]
        marked = [f"**{cell}**" if s == best else cell for s, cell in zip(scales, cells, strict=True)]
        lines.append(f"| {model} | {' | '.join(marked)} |")
    return lines


if __name__ == "__main__":
    main()
