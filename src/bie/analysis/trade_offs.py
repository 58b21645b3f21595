"""What conservation costs removal: the fronts that sweeps of a penalty's scale, or of a preference, draw.

At each split (seed) the grid points of a sweep are a set of points, removal of the batch against conservation
of the cell types, with the baseline among them, as scale 0 where it has none. Over the splits that gives a
distribution of fronts: attainment surfaces (what a share of the splits attains; Fonseca et al. 2011, EMO) and
one hypervolume per split, which pair between models as all numbers of one split do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bie.analysis.answer import CONSERVATION
from bie.analysis.baseline import baselines, row_names
from bie.analysis.comparison import SIGNS
from bie.analysis.fronts import Cloud, bands, cloud_of, dominated, hypervolumes, knee
from bie.analysis.paired import holm, moments_of, new_cells, these_cells
from bie.analysis.study import Study
from bie.errors import BadInput
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

REMOVAL = ("be_ratio", "be", "ilisi", "probe_f1")
DIFFERENCES = ("n_pairs", "mean", "low", "high", "p", "p_holm", "low_new", "high_new", "p_new")
WEIGHTS = {".scale": "", ".preference": " by preference"}
"""How the settings end that weigh a penalty, and what a sweep of them adds to the name of its front."""


@dataclass(frozen=True)
class TradeOff:
    """Fronts of one data set.

    Attributes
    ----------
    dataset, split, removal, conservation
        What was looked at; the name of the data set as in `Study.data_set_names`.
    points
        A row per grid point: ``front`` (model and settings but the scale or preference), ``config_id``,
        ``row`` (its name), ``scale`` (or preference; NaN for the baseline), ``removal``, ``conservation``
        (means over the common splits),
        ``dominated_by`` (name of the point that dominates its means, if any; over all fronts) and
        ``in_splits`` (share of the splits in which it does), ``knee`` (share of the splits in which this is
        the knee of its front), ``seconds`` (mean wall time of a run). The baseline is in each front.
    bands
        Attainment surfaces: ``front``, ``percent`` (of the splits attain it), ``removal``, ``conservation``.
    hypervolumes
        A row per split, a column per front: share of the box between the worst and the best value seen.
    differences
        A row per pair of fronts: ``front``, ``other`` and `DIFFERENCES`, named as in the comparison.
    left_out
        Names of the grid points of which no run has both numbers, such as a scale at which all diverge.
    baseline
        Name of the row that is in each front; empty where there is none.
    """

    dataset: str
    split: str
    removal: str
    conservation: str
    points: "pd.DataFrame"
    bands: "pd.DataFrame"
    hypervolumes: "pd.DataFrame"
    differences: "pd.DataFrame"
    left_out: tuple[str, ...] = ()
    baseline: str = ""


def trade_offs(
    study: Study,
    removal: str | None = None,
    conservation: str | None = None,
    split: str = "test",
    baseline: str | None = None,
) -> Iterator[TradeOff]:
    """Fronts of each data set of which some model was run at several scales.

    Parameters
    ----------
    removal, conservation
        Metrics; default: the first of `REMOVAL` and of `CONSERVATION` with values.
    split
        ``test`` or ``train``.
    baseline
        See `bie.analysis.baseline.baselines`.

    Raises
    ------
    BadInput
        A metric that no run has, or of which no direction is better.
    """
    base, group = baselines(study, baseline), study.data_sets
    for _, points in study.grid_points.groupby(group, sort=False):
        fronts = _fronts(study, points)
        if fronts:
            start = base.loc[points.index].dropna().unique()
            across = _axis(study, removal, REMOVAL, split, points.index)
            up = _axis(study, conservation, CONSERVATION, split, points.index)
            found = _trade_off(study, fronts, list(start), (across, up), split) if across and up else None
            if found is not None:
                yield found


def _fronts(study: Study, points: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """Scale or preference of each grid point by front; a front has two or more."""
    found: dict[str, dict[str, float]] = {}
    names = row_names(study)
    keys = [key for key in study.grid if key.endswith(tuple(WEIGHTS))]
    values = points[keys].astype("Float64").to_numpy(float, na_value=np.nan)
    for config, scales in zip(points.index, values, strict=True):
        (acting,) = np.nonzero(np.isfinite(scales))
        if len(acting) == 1:
            key = keys[acting[0]]
            weight = key.removeprefix(f"{points.at[config, 'model']!s}.")
            name = " ".join(word for word in names[config].split(" ") if not word.startswith(f"{weight}="))
            name += WEIGHTS[f".{key.rpartition('.')[2]}"]
            found.setdefault(name, {})[config] = float(scales[acting[0]])
    return {name: scales for name, scales in found.items() if len(set(scales.values())) > 1}


def front_endings(study: Study) -> "pd.Series":
    """What the name of a front has beside that of its model, by ``config_id``."""
    keys = [key for key in study.grid if key.endswith(".preference")]
    return study.grid_points[keys].notna().any(axis=1).map({True: WEIGHTS[".preference"], False: ""})


def _axis(study: Study, wanted: str | None, among: tuple[str, ...], split: str, configs: Any) -> str:
    """Metric of an axis; empty where none has a value here."""
    rows = study.runs["config_id"].isin(configs).to_numpy()
    found = study.values.loc[rows, study.values.columns.get_level_values("split") == split].notna().any()
    there = [str(metric) for metric in found.index[found].get_level_values("metric")]
    if wanted is not None and wanted not in there:
        raise BadInput(f"{wanted}: no value on {split} cells. There are: {', '.join(there)}")
    if wanted is not None and not (wanted in CARDS and SIGNS[CARDS[wanted].direction]):
        raise BadInput(f"{wanted}: neither more nor less of it is better, so that it is no side of a front")
    return wanted or next((name for name in among if name in there), "")


def _trade_off(
    study: Study,
    fronts: dict[str, dict[str, float]],
    start: list[str],
    axes: tuple[str, str],
    split: str,
) -> TradeOff | None:
    import pandas as pd

    asked = list(dict.fromkeys([*start, *(config for scales in fronts.values() for config in scales)]))
    has_both = study.numbers(split)[list(axes)].notna().all(axis=1)
    known = set(study.runs.loc[has_both, "config_id"])
    configs = [config for config in asked if config in known]
    cloud = cloud_of(study, configs, axes, split)
    if not cloud.splits:
        return None
    start = [config for config in start if config in known]
    there = {name: {c: scale for c, scale in scales.items() if c in known} for name, scales in fronts.items()}
    fronts = {name: scales for name, scales in there.items() if scales}
    members = {name: [*(c for c in start if c not in scales), *scales] for name, scales in fronts.items()}
    volumes = pd.DataFrame({name: hypervolumes(cloud, of) for name, of in members.items()}, cloud.splits)
    signs = np.array([SIGNS[CARDS[name].direction] for name in axes])
    surfaces = [bands(cloud.of(of), signs).assign(front=name) for name, of in members.items()]
    table = _points(study, cloud, members, fronts)
    table[["removal", "conservation"]] *= signs
    return TradeOff(
        dataset=str(study.data_set_names[configs[0]]),
        split=split,
        removal=axes[0],
        conservation=axes[1],
        points=table,
        bands=pd.concat(surfaces, ignore_index=True)[["front", "percent", "removal", "conservation"]],
        hypervolumes=volumes,
        differences=_between(study, volumes, configs[0]),
        left_out=tuple(row_names(study)[config] for config in asked if config not in known),
        baseline=" or ".join(row_names(study)[config] for config in start),
    )


def _points(
    study: Study, cloud: Cloud, members: dict[str, list[str]], fronts: dict[str, dict[str, float]]
) -> "pd.DataFrame":
    """See `TradeOff.points`; removal and conservation are turned as those of the cloud."""
    import pandas as pd

    beaten, names = dominated(cloud), row_names(study)
    seconds = study.runs["seconds"].astype(float).groupby(study.runs["config_id"].to_numpy()).mean()
    parts = []
    for front, configs in members.items():
        values = cloud.of(configs)
        knees = np.array([knee(at) for at in values.swapaxes(0, 1)])
        columns = {
            "front": front,
            "config_id": configs,
            "row": [names[config] for config in configs],
            "scale": [fronts[front].get(config, np.nan) for config in configs],
            "removal": values[..., 0].mean(axis=1),
            "conservation": values[..., 1].mean(axis=1),
            "dominated_by": [names.get(beaten.get(config, ("", 0))[0]) for config in configs],
            "in_splits": [beaten.get(config, ("", np.nan))[1] for config in configs],
            "knee": [(knees == place).mean() for place in range(len(configs))],
            "seconds": seconds.reindex(configs).to_numpy(),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _between(study: Study, volumes: "pd.DataFrame", config: str) -> "pd.DataFrame":
    """Paired differences of the hypervolumes of every two fronts, in both readings."""
    import pandas as pd

    fraction = study.configs.get(config, {}).get("split.train_fraction", np.nan)
    rows = []
    for front, other in combinations(volumes.columns, 2):
        moments = moments_of(list(volumes[front] - volumes[other]))
        here, there = these_cells(moments), new_cells(moments, (1 - fraction) / fraction)
        rows.append(
            {
                **{"front": front, "other": other, "n_pairs": int(moments.n), "mean": float(moments.mean)},
                **{"low": float(here.low), "high": float(here.high), "p": float(here.p)},
                **{"low_new": float(there.low), "high_new": float(there.high), "p_new": float(there.p)},
            }
        )
    table = pd.DataFrame(rows).reindex(columns=["front", "other", *DIFFERENCES])
    table["p_holm"] = holm(table["p"].to_numpy(dtype=float))[0]
    return table
