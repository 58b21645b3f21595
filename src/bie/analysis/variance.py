"""Where the variance of a metric comes from: the split, the initial weights, the order, the noise, k-means.

A value is ``mean + b_1 + ... + b_K + rest``: an independent normal effect of the level of each source of
randomness (`bie.seeds.SEEDS`), and a rest that only their combination explains. The standard deviations
are estimated by restricted maximum likelihood (Patterson & Thompson 1971, Biometrika 58:545), which for a
balanced design without a component at 0 is the analysis of variance; the 95 % intervals are those of the
profiled restricted likelihood, whose lower end may be 0.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bie.analysis.numbers import NOTHING, two_digits
from bie.analysis.paired import TIED
from bie.analysis.study import Study
from bie.metrics.cards import CARDS
from bie.seeds import SEEDS

if TYPE_CHECKING:
    import pandas as pd

REST = "rest"
NAMES = dict(zip(SEEDS, ("split", "weights", "order", "noise", "k-means"), strict=True))
_DROP = 3.841458820694124  # 95 % quantile of chi-square with one degree of freedom
_SMALLEST = 1e-5  # of the rest, in standard deviations of the values: else the likelihood has no maximum
_NONE = 1e-4  # likewise: an estimate below it is 0, as near as the search gets

Array = NDArray[np.float64]
Factors = Mapping[str, NDArray[np.int64]]
Deviance = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True)
class Component:
    """Standard deviation that one source of randomness gives a metric.

    Attributes
    ----------
    source
        Name, several joined by ``+`` where the design does not tell them apart; `REST` for what is left.
    levels
        How many different seeds of it there are.
    sd, low, high
        In the unit of the metric, with its 95 % interval.
    """

    source: str
    levels: int
    sd: float
    low: float
    high: float


def components(study: Study, split: str = "test", metrics: tuple[str, ...] | None = None) -> "pd.DataFrame":
    """Components of variance of every design of a study that varies a source of randomness by itself.

    A design is what has the same settings but for its seeds. Where some of its runs lack a metric, the others
    tell the components. A metric without spread is left out, as is one among whose runs no source repeats.

    Parameters
    ----------
    split
        ``train`` or ``test`` cells.
    metrics
        Default: those of the printed tables.

    Returns
    -------
    DataFrame
        A row per design x metric x source: ``dataset``, ``model``, the other settings that vary, ``split``,
        ``metric``, ``n`` (runs that have it), ``n_done`` (finished runs), ``mean``, ``source``, ``levels``
        (among the former), ``sd``, ``low``, ``high``, ``share`` (of the variance).
    """
    import pandas as pd

    wanted = metrics or tuple(name for name, card in CARDS.items() if card.headline)
    numbers = study.numbers(split).reindex(columns=list(wanted))
    others = [key for key in study.grid if key not in SEEDS]
    rows: list[dict[str, Any]] = []
    for runs in _designs(study):
        point = study.grid_points.loc[runs["config_id"].iloc[0], ["dataset", "model", *others]].to_dict()
        for metric in wanted:
            values = numbers.loc[runs.index, metric].dropna()
            factors = _factors(study, runs.loc[values.index])
            if not factors or np.ptp(values) <= TIED * np.abs(values).max():
                continue
            found = restricted_ml(values.to_numpy(), factors)
            total = sum(each.sd**2 for each in found)
            about: dict[Any, Any] = {**point, "split": split, "metric": metric, "mean": values.mean()}
            about |= {"n": len(values), "n_done": len(runs)}
            rows += [{**about, **vars(each), "share": each.sd**2 / total} for each in found]
    names = ["split", "metric", "n", "n_done", "mean", "source", "levels", "sd", "low", "high", "share"]
    return pd.DataFrame(rows, columns=["dataset", "model", *others, *names])


def variance_texts(study: Study) -> list[str]:
    """A table for people of each design of `components`, of the test cells; none for an ordinary study."""
    table = components(study)
    keys = list(table.columns[: table.columns.get_loc("split")])
    return [_text(keys, part) for _, part in table.groupby(keys, sort=False, dropna=False)]


def _text(keys: list[str], part: "pd.DataFrame") -> str:
    import pandas as pd

    first = part.iloc[0]
    settings = [f"{key}={first[key]}" for key in keys[2:] if not pd.isna(first[key])]
    name = " ".join([first["dataset"], first["model"], *settings])
    levels = part.groupby("source", sort=False)["levels"].max()
    levels = levels.sort_index(key=lambda sources: sources == REST, kind="stable")  # the rest is last
    lines = [["metric", "mean", "sd", *(f"{source} ({n})" for source, n in levels.items())]]
    for metric, rows in part.groupby("metric", sort=False):
        total = math.sqrt((rows["sd"] ** 2).sum())
        found = {
            row["source"]: f"{two_digits(row['sd'])} [{two_digits(row['low'])}, {two_digits(row['high'])}]"
            for row in rows.to_dict("records")
        }
        cells = [found.get(source, NOTHING) for source in levels.index]
        lines.append([CARDS[str(metric)].label, f"{rows['mean'].iloc[0]:.3g}", two_digits(total), *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    n_done = first["n_done"]
    fewer = part[part["n"] < n_done].drop_duplicates("metric")[["metric", "n"]].to_numpy()
    lacking = ", ".join(f"{CARDS[metric].label} {n} of {n_done}" for metric, n in fewer)
    return "\n".join(
        [
            f"{name}, test cells: where the spread over {n_done} runs comes from",
            "sd by source (its number of seeds), 95 % interval; restricted maximum likelihood",
            *("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines),
            *([f"fewer runs have a number: {lacking}"] if lacking else []),
        ]
    )


def _designs(study: Study) -> Iterator["pd.DataFrame"]:
    """Finished runs of the same settings but for seeds, where one of these has been set by itself."""
    done = study.runs[study.runs["state"] == "done"]
    known = {config: study.configs.get(config, {}) for config in done["config_id"].unique()}
    if not any(key in settings for settings in known.values() for key in SEEDS):
        return
    alike = {
        config: json.dumps({k: v for k, v in settings.items() if k not in SEEDS}, sort_keys=True)
        for config, settings in known.items()
    }
    for _, runs in done.groupby(done["config_id"].map(alike), sort=False):
        if any(key in known[config] for config in runs["config_id"].unique() for key in SEEDS):
            yield runs


def _factors(study: Study, runs: "pd.DataFrame") -> Factors:
    """Levels of each source, by name; what moves together is one, what never repeats belongs to the rest."""
    found: dict[bytes, list[str]] = {}
    for key in SEEDS:
        own = [study.configs[config].get(key) for config in runs["config_id"]]
        seeds = [seed if value is None else value for value, seed in zip(own, runs["seed"], strict=True)]
        _, first, codes = np.unique(np.array(seeds, np.int64), return_index=True, return_inverse=True)
        in_order = np.argsort(np.argsort(first))[codes]  # by first appearance: equal for equal partitions
        if 1 < len(first) < len(runs):
            found.setdefault(in_order.astype(np.int64).tobytes(), []).append(NAMES[key])
    return {"+".join(names): np.frombuffer(codes, np.int64) for codes, names in found.items()}


def restricted_ml(values: Array, factors: Factors) -> list[Component]:
    """Estimate the standard deviations of crossed random effects.

    Parameters
    ----------
    values
        Shape (n,), not all equal.
    factors
        Codes 0, 1, ... of the levels of each source, shape (n,).

    Returns
    -------
    list[Component]
        In the order of the factors, the rest last.
    """
    scale = float(np.std(values, ddof=1))
    deviance = _deviance((values - values.mean()) / scale, list(factors.values()))
    best, lowest = _minimum(deviance, np.full(len(factors) + 1, 1 / math.sqrt(len(factors) + 1)))
    best = np.where(best < _NONE, 0.0, best)
    names = [(name, int(codes.max()) + 1) for name, codes in factors.items()] + [(REST, len(values))]
    found = []
    for place, (name, levels) in enumerate(names):
        low, high = _interval(deviance, best, lowest, place)
        found.append(Component(name, levels, scale * float(best[place]), scale * low, scale * high))
    return found


def _deviance(y: Array, factors: list[NDArray[np.int64]]) -> Deviance:
    r"""-2 log restricted likelihood of standard deviations, up to a constant, and its gradient.

    With :math:`V = \sigma^2 I + Z D Z'` and P its inverse less the mean's part, the deviance is
    :math:`\log|V| + \log 1'V^{-1}1 + y'Py` and its derivative by a standard deviation
    :math:`2 \sigma_k (\mathrm{tr} Z_k'PZ_k - |Z_k'Py|^2)`. All of it comes from the cross products
    of Z by Woodbury's identity, so that its cost does not grow with the number of runs.
    """
    n = len(y)
    z = np.hstack([np.eye(codes.max() + 1)[codes] for codes in factors])
    of = np.repeat(np.arange(len(factors)), [codes.max() + 1 for codes in factors])
    x = np.column_stack([np.ones(n), y])
    zz, zx, xx = z.T @ z, z.T @ x, x.T @ x

    def deviance(sds: Array) -> tuple[float, Array]:
        rest = max(float(sds[-1] ** 2), _SMALLEST**2)
        scaled = sds[:-1][of]
        factor = np.linalg.cholesky(rest * np.eye(len(of)) + scaled[:, None] * zz * scaled)
        half_x, half_z = (np.linalg.solve(factor, scaled[:, None] * m) for m in (zx, zz))
        one, both = (xx - half_x.T @ half_x) / rest, (zx - half_z.T @ half_x) / rest  # by V^-1
        slope = one[0, 1] / one[0, 0]
        fit = float(one[1, 1] - one[0, 1] * slope)
        log_v = (n - len(of)) * math.log(rest) + 2 * float(np.log(np.diag(factor)).sum())
        trace = (np.diag(zz) - (half_z**2).sum(0)) / rest - both[:, 0] ** 2 / one[0, 0]
        pulls = np.bincount(of, trace), np.bincount(of, (both[:, 1] - both[:, 0] * slope) ** 2)
        held = [float((sds[:-1] ** 2) @ pull) for pull in pulls]
        last = ((n - 1 - held[0]) - (fit - held[1])) / rest  # as tr PV = n - 1 and y'PVPy = y'Py
        return log_v + math.log(one[0, 0]) + fit, 2 * sds * np.append(pulls[0] - pulls[1], last)

    return deviance


def _minimum(deviance: Deviance, start: Array) -> tuple[Array, float]:
    """Lowest point: the deviance is an even, smooth function of each standard deviation."""
    from scipy.optimize import minimize

    found = minimize(deviance, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-11, "gtol": 1e-5})
    return np.abs(found.x), float(found.fun)


def _interval(deviance: Deviance, best: Array, lowest: float, place: int) -> tuple[float, float]:
    """Values of one standard deviation whose profiled deviance is less than `_DROP` above the lowest."""
    from scipy.optimize import brentq

    others = np.maximum(np.delete(best, place), 0.05)

    def above(sd: float) -> float:
        def of_others(rest: Array) -> tuple[float, Array]:
            value, gradient = deviance(np.insert(rest, place, sd))
            return value, np.delete(gradient, place)

        return _minimum(of_others, others)[1] - lowest - _DROP

    top = float(best[place])
    low = 0.0 if above(0.0) < 0 else brentq(above, 0.0, top, xtol=1e-3)
    high = max(2 * top, 0.1)
    while above(high) < 0 and high < 1e3:
        high *= 2
    return low, brentq(above, top, high, xtol=1e-3) if high < 1e3 else math.inf
