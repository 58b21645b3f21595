"""Where the variance of a metric comes from: the split, the initial weights, the order, the noise, k-means.

Each source of randomness (`bie.seeds.SEEDS`) that was varied by itself is an effect of
`bie.analysis.random_effects`; what only their combination explains is the rest.
"""

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bie.analysis.numbers import NOTHING, two_digits
from bie.analysis.paired import TIED
from bie.analysis.random_effects import REST, Factors, restricted_ml
from bie.analysis.study import Study
from bie.metrics.cards import CARDS
from bie.seeds import SEEDS

if TYPE_CHECKING:
    import pandas as pd

NAMES = dict(zip(SEEDS, ("split", "weights", "order", "noise", "k-means"), strict=True))


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
