"""Do the verdicts err as seldom as they say? Small data sets drawn anew, through the real pipeline.

    python benchmarks/calibration.py run --out RESULTS.csv [--minutes 20]
    python benchmarks/calibration.py table RESULTS.csv
    python benchmarks/calibration.py looks

Each data set is 200 cells x 60 genes of a `zinb` with a `dataset.seed` of its own, on which three arms that
are the same scVI train on the same splits. Two draw their initial weights anew for each seed, so that none is
better on any cells: how often is the verdict `better` or `worse`, and are new cells `shown`? With an effect
of .5 or 1 sd of their paired differences put on one, these rates are the power. The third holds one draw of
initial weights on a data set. Such a draw may truly be better, or only on these cells, which is what the two
readings are to tell apart. So both arms also train on 200 other cells from the same source, whose mean
difference over 30 seeds says who is right: of the data sets with new cells `shown`, how many have the other
sign on the other cells? And of those in which the plain paired t-test (`naive`) finds a difference? Each at
the first 5, 10 and 30 seeds, with the exact binomial 95 % interval. No two data sets share a seed: weights
that they had in common would make their verdicts alike. A data set of which a `run` has made only a part
does not count.

`looks` draws studies of normal differences without effect and looks at them after every pair from the third
on: how often is 0 outside the interval of `stop.*` at some look, and outside the usual one?
"""

import argparse
import csv
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student

from bie.analysis.paired import ALPHA, Moments, new_cells
from bie.analysis.sequential import half_width
from bie.analysis.verdicts import SHOWN, judge, shown
from bie.config import RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.experiment import split, streams_of
from bie.methods import build_embedder
from bie.metrics.cards import METRICS as METRIC_OF
from bie.metrics.metric import call_by_name
from bie.metrics.part import Part
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.provenance import configuration_folder

METRICS = ("asw", "be", "elbo")
EFFECTS = (0.0, 0.5, 1.0)
SEEDS = 30
FRACTIONS = (0.6, 0.9)
SHIFTED = 10_000_000
"""Added to a seed, it gives initial weights that no first arm has."""
SMALL = [
    *(
        "dataset=zinb",
        "dataset.n_cells=400",  # two halves, studied apart
        "dataset.n_genes=60",
        "dataset.preset=mild",
        "dataset.n_types=3",
    ),
    *(
        "model.n_hidden=16",
        "model.n_latent=5",
        "train.epochs=3",
        "train.kl.warmup_epochs=2",
        "metrics.be.neighbours=10",
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, dest="verb")
    runs = verbs.add_parser("run")
    runs.add_argument("--out", type=Path, required=True)
    runs.add_argument("--minutes", type=float, default=20.0, help="of CPU time, after which it ends")
    runs.add_argument("--first", type=int, default=0, help="dataset.seed of the first data set")
    runs.add_argument("--step", type=int, default=1, help="from one data set to the next: several can share")
    verbs.add_parser("table").add_argument("results", type=Path, nargs="+")
    verbs.add_parser("looks")
    given = parser.parse_args()
    if given.verb == "run":
        make(given.out, 60 * given.minutes, given.first, given.step)
    else:
        print("\n".join(table(given.results) if given.verb == "table" else looks()))
    return 0


def make(out: Path, seconds: float, first: int, step: int) -> None:
    """Add data sets to the results until the CPU time is over."""
    torch.set_num_threads(1)
    with out.open("a", newline="") as file:
        writer = csv.writer(file)
        for number in itertools.count(first, step):
            for row in differences(number):
                if time.process_time() > seconds:
                    return
                writer.writerow(row)
                file.flush()


def differences(number: int) -> Iterator[tuple[object, ...]]:
    """Data set, train fraction, seed, second arm, then its difference from the first in each of `METRICS`."""
    typed = [*SMALL, f"dataset.seed={number}", f"split.train_fraction={','.join(map(str, FRACTIONS))}"]
    configs = [each.config for each in expand(typed, Configurations(configuration_folder())).combinations]
    cells, others = halves(load(configs[0].dataset), number)
    held, own = number + 2 * SHIFTED, number + 3 * SHIFTED
    for seed in range(SEEDS * number, SEEDS * (number + 1)):  # another data set, other weights and splits
        for config, (arm, studied, one, other) in itertools.product(
            configs,
            (
                ("drawn", cells, seed, seed + SHIFTED),
                ("held", cells, own, held),
                ("others", others, own, held),
            ),
        ):
            first, second = (
                scores(config.model_copy(update={"seed": seed, "init_seed": weights}), studied)
                for weights in (one, other)
            )
            gains = (b - a for a, b in zip(first, second, strict=True))
            yield number, config.split.train_fraction, seed - SEEDS * number, arm, *gains


def halves(cells: Cells, number: int) -> tuple[Cells, Cells]:
    """Two random halves of the cells of one source."""
    order = np.random.default_rng(number).permutation(cells.n_cells)
    return rows_of(cells, order[::2]), rows_of(cells, order[1::2])


def rows_of(cells: Cells, rows: NDArray[np.int64]) -> Cells:
    """Some of the cells, with all genes."""
    label = None if cells.label is None else cells.label[rows]
    return replace(
        cells,
        counts=cells.counts[rows],
        batch=cells.batch[rows],
        label=label,
        cell_names=cells.cell_names[rows],
    )


def scores(config: RunConfig, cells: Cells) -> tuple[float, ...]:
    """`METRICS` of the test cells of one run: the stages of `bie.experiment`, less the slow metrics."""
    parts, streams = split(config, cells), streams_of(config)
    embedder = build_embedder(config.model, config.penalty, config.train, None)
    embedder.fit(cells, parts["train"], parts["test"], streams, lambda row: None)
    rows = parts["test"]
    assert cells.label is not None
    part = Part(
        z_nd=np.asarray(embedder.embed(cells, rows), np.float64),
        batch_n=cells.batch[rows],
        n_batches=cells.n_batches,
        label_n=cells.label[rows],
        n_labels=cells.n_labels,
        settings=config.metrics,
        streams=streams,
        fitted_z_nd=None,
        fitted_batch_n=None,
    )
    values = embedder.loss_terms(cells, rows, streams)
    return tuple(values[m] if m in values else call_by_name(METRIC_OF[m], part) for m in METRICS)


def table(paths: Sequence[Path]) -> Iterator[str]:
    """Markdown: rates in per cent with their intervals."""
    columns = ["data", "train_fraction", "seed", "arm", *METRICS]
    rows = pd.concat([pd.read_csv(path, names=columns) for path in paths], ignore_index=True)
    whole = rows.groupby("data")["seed"].transform("size") == 3 * SEEDS * len(FRACTIONS)
    rows = rows[whole]
    yield f"{rows['data'].nunique()} data sets"
    yield ""
    yield (
        "| train | seeds | metric | no effect: better or worse | shown | .5 sd: better | shown | 1 sd: "
        "better | shown | held: shown | of these wrong | naive | of these wrong |"
    )
    yield "|---|---|---|" + "---:|" * 10
    for fraction, seeds, metric in itertools.product(FRACTIONS, (5, 10, SEEDS), METRICS):
        part = rows[(rows["train_fraction"] == fraction) & (rows["seed"] < seeds)]
        drawn, held = (wide(part, arm, metric) for arm in ("drawn", "held"))
        truth = wide(rows[rows["train_fraction"] == fraction], "others", metric).mean(axis=1)
        cells = [rate(hits) for effect in EFFECTS for hits in found(drawn, effect, fraction)[:2]]
        for hits in found(held, 0.0, fraction)[1:]:
            cells += [rate(hits), rate(np.sign(held.mean(axis=1)) != np.sign(truth), among=hits)]
        yield " | ".join([f"| {fraction:g}", str(seeds), metric, *cells]) + " |"


def wide(rows: pd.DataFrame, arm: str, metric: str) -> NDArray[np.float64]:
    """Differences of an arm: a row for each data set, a column for each seed."""
    return rows[rows["arm"] == arm].pivot(index="data", columns="seed", values=metric).to_numpy()


def found(differences_ds: NDArray[np.float64], effect: float, fraction: float) -> list[NDArray[np.bool_]]:
    """In which data sets a verdict is given (with an effect: `better`), new cells are shown, p < .05.

    Parameters
    ----------
    differences_ds
        A row for each data set, a column for each seed.
    effect
        In standard deviations of a difference within a data set, which is added to all.
    """
    sd = np.sqrt((differences_ds.std(axis=1, ddof=1) ** 2).mean())
    shifted = differences_ds + effect * sd
    mean, own = shifted.mean(axis=1), shifted.std(axis=1, ddof=1)
    moments = Moments(np.full((1, len(mean)), shifted.shape[1], float), mean[None], own[None])
    judged = judge(moments, np.ones(len(mean)), np.full((1, len(mean)), np.nan))
    given = {"better"} if effect else {"better", "worse"}
    return [
        np.array([verdict in given for verdict in judged.verdict[0]]),
        np.asarray(shown(new_cells(moments, (1 - fraction) / fraction))[0] == SHOWN),
        judged.inference.p[0] < ALPHA,
    ]


def looks(studies: int = 20_000, most: int = 200) -> Iterator[str]:
    """Markdown: errors of looking after every pair, up to some numbers of pairs."""
    draws_dn = np.random.default_rng(0).standard_normal((studies, most))
    n = np.arange(1, most + 1)
    mean = draws_dn.cumsum(axis=1) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.maximum((draws_dn**2).cumsum(axis=1) - n * mean**2, 0) / (n - 1))
    anytime = np.minimum([half_width(int(pairs), 1.0) for pairs in n], 1e9)
    usual = np.where(n > 2, student.ppf(1 - ALPHA / 2, np.maximum(n - 1, 1)) / np.sqrt(n), 1e9)
    yield "| pairs, at most | `stop.*` errs, % | the usual interval errs, % |"
    yield "| ---: | ---: | ---: |"
    for pairs in (10, 30, 100, most):
        errors = [
            np.asarray((np.abs(mean) > np.nan_to_num(sd) * half)[:, 2:pairs].any(axis=1))
            for half in (anytime, usual)
        ]
        yield f"| {pairs} | " + " | ".join(rate(hits) for hits in errors) + " |"


def rate(hits: NDArray[np.bool_], among: NDArray[np.bool_] | None = None) -> str:
    """Share in per cent with its exact binomial interval (Clopper & Pearson 1934)."""
    counted = hits if among is None else hits[among]
    if not counted.size:
        return "–"
    low, high = binomtest(int(counted.sum()), counted.size).proportion_ci()
    digits = 0 if counted.size < 1000 else 1
    return f"{100 * counted.mean():.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


if __name__ == "__main__":
    sys.exit(main())
