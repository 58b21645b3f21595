"""How close do estimators come to a mutual information that is known? pairs -> split -> learn -> estimate.

The critics of the penalties, by their lower bounds, beside nearest neighbours, on the training pairs and on
pairs that no critic has seen.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.config import Data, RunConfig
from bie.config.pairs import Critic, Estimator, Neighbours, Pairs
from bie.data.split import monte_carlo_split
from bie.seeds import Streams

if TYPE_CHECKING:
    from bie.mutual_information.known import Sample
    from bie.result import Result

Row = dict[str, float]


def about(dataset: Data) -> str:
    """Kind and number of the pairs."""
    assert isinstance(dataset, Pairs)
    return f"{dataset.n_pairs:,} pairs, drawn anew for each seed"


def check(config: RunConfig) -> None:
    """Enough pairs on both sides of the split."""
    assert isinstance(config.dataset, Pairs)
    monte_carlo_split(config.dataset.n_pairs, config.split.train_fraction, 0)


def experiment(config: RunConfig, on_epoch: Callable[[Row], None]) -> "Result":
    """Estimate the mutual information of the training and of the test pairs."""
    from bie.mutual_information.known import draw, truth
    from bie.result import Clock, Result  # torch

    assert isinstance(config.dataset, Pairs)
    assert isinstance(config.model, Estimator)
    clock, streams = Clock(), Streams(config.seed, config.own_seeds)
    seed = config.own_seeds.get("split_seed", config.seed)
    sample = draw(config.dataset, Streams(seed).numpy("pairs"))
    train, test = monte_carlo_split(config.dataset.n_pairs, config.split.train_fraction, seed)
    parts = {"train": train, "test": test}
    known = truth(config.dataset)
    clock.lap("draw")

    estimate, history = _learn(config.model, sample, train, test, streams, on_epoch)
    clock.lap("fit")
    found = {part: estimate(rows) for part, rows in parts.items()}
    clock.lap("score")
    missing = {"mi_estimate": _ONE_A_SIDE, "mi_error": _ONE_A_SIDE} if None in found.values() else {}
    return Result(
        metrics={part: _metrics(found[part], known, len(rows)) for part, rows in parts.items()},
        missing=missing,
        notes=_beyond(known, parts),
        probe_f1_by_batch={},
        history=history,
        files={},
        seconds=clock.seconds,
    )


_ONE_A_SIDE = "scikit-learn takes one variable on each side"


def _learn(
    model: Estimator,
    sample: "Sample",
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    streams: Streams,
    on_epoch: Callable[[Row], None],
) -> tuple[Callable[[NDArray[np.int64]], float | None], list[Row]]:
    """What estimates from some rows, once it has learned from the training pairs; and its history."""
    if isinstance(model, Critic):
        from bie.kinds.critics import TrainedCritic

        critic = TrainedCritic(model, sample, streams)
        history = critic.fit(train, test, on_epoch)
        return critic.estimate, history
    if isinstance(model, Neighbours):
        return lambda rows: by_neighbours(sample, rows, model.k), []
    k = model.k  # type: ignore[attr-defined]  # scikit-learn's
    return lambda rows: by_sklearn(sample, rows, k, streams.integer("sklearn")), []


def by_neighbours(sample: "Sample", rows: NDArray[np.int64], k: int) -> float:
    """By Kraskov et al. 2004, or by Ross 2014 where x is discrete; nats."""
    if sample.class_n is None:
        from bie.mutual_information.nearest import ksg

        return ksg(sample.x_nd[rows], sample.y_nd[rows], k)
    from bie.metrics.dependence import mi_ross

    return mi_ross(sample.y_nd[rows], sample.class_n[rows], k)


def by_sklearn(sample: "Sample", rows: NDArray[np.int64], k: int, seed: int) -> float | None:
    """Scikit-learn's version of the same; None with more than one dimension on a side."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    y_nd = sample.y_nd[rows]
    if y_nd.shape[1] > 1 or (sample.class_n is None and sample.x_nd.shape[1] > 1):
        return None
    how = {"n_neighbors": k, "random_state": seed}
    if sample.class_n is None:
        return float(mutual_info_regression(y_nd, sample.x_nd[rows, 0], **how)[0])
    return float(mutual_info_classif(y_nd, sample.class_n[rows], **how)[0])


def _metrics(estimate: float | None, known: float, n: int) -> dict[str, float | None]:
    error = None if estimate is None else abs(estimate - known)
    return {"mi_estimate": estimate, "mi_truth": known, "mi_error": error, "mi_cap": math.log(n)}


def _beyond(known: float, parts: dict[str, NDArray[np.int64]]) -> dict[str, str]:
    """A truth that nobody can be sure of from so many pairs."""
    n = min(map(len, parts.values()))
    if known <= math.log(n):
        return {}
    return {
        "mi_estimate": f"the truth, {known:.1f} nats, is more than ln n = {math.log(n):.1f}, beyond which no "
        f"lower bound can be certified from {n:,} pairs"
    }
