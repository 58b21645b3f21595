"""What a penalty adds to a whole run, metrics included, in CPU time on one thread.

    python -m benchmarks.whole [--rounds 3] [--models scvi_hsic,scvi_club] [--write NAME] [OVERRIDES ...]

The runs of ``study=penalties`` at one seed, a model after the other in one process, again and again; what is
printed is the median over the rounds of the ratio to plain scVI within a round, and its range. ``--write``
puts it into the part NAME of docs/penalties.md.
"""

import argparse
import time
from collections.abc import Iterator
from datetime import date
from statistics import median

import torch

from benchmarks.page import DOCS, processor, put
from bie.config import RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.experiment import experiment
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder

PLAIN, PENALISED = "scvi", "scvi_mmd,adversarial,scvi_mine"
STUDY = ("train.epochs=100", "model.batch_covariate=false", "seed=10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=PENALISED, help="beside plain scVI")
    parser.add_argument("--write", metavar="NAME")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = [PLAIN, *arguments.models.split(",")]
    configs = {model: configured(model, arguments.overrides) for model in models}
    cells = load(configs[PLAIN].dataset)
    seconds(configured(PLAIN, [*arguments.overrides, "train.epochs=1"]), cells)  # loads what is loaded once
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append({model: seconds(config, cells) for model, config in configs.items()})
        print({model: round(spent, 1) for model, spent in rounds[-1].items()}, flush=True)
    text = "\n".join(table(arguments.write or configs[PLAIN].dataset.name, cells, rounds))
    print(text)
    if arguments.write:
        put(DOCS / "penalties.md", f"benchmarks.whole, {arguments.write}", text)


def table(name: str, cells: Cells, rounds: list[dict[str, float]]) -> Iterator[str]:
    """Markdown."""
    n_cells, n_genes = cells.counts.shape
    plain, *penalised = models = list(rounds[0])
    yield f"| {name}: {n_cells:,} cells x {n_genes:,} genes | {' | '.join(models)} |"
    yield "|---" * (1 + len(models)) + "|"
    ratios = [[spent[model] / spent[plain] for spent in rounds] for model in penalised]
    texts = [f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" for found in ratios]
    yield f"| CPU time of scVI's | 1 | {' | '.join(texts)} |"
    seconds = [median(spent[model] for spent in rounds) for model in models]
    yield f"| seconds | {' | '.join(f'{spent:.1f}' for spent in seconds)} |"
    yield ""
    yield f"{date.today()}, {processor()}, {len(rounds)} rounds."


def configured(model: str, overrides: list[str]) -> RunConfig:
    typed = (*STUDY, *overrides, f"model={model}")
    (found,) = expand(typed, Configurations(configuration_folder())).combinations
    return found.config.model_copy(update={"seed": found.seeds[0]})


def seconds(config: RunConfig, cells: Cells) -> float:
    begin = time.process_time()
    experiment(config, cells, lambda row: None)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
