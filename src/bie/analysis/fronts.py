"""Sets of points that trade one metric for another: hypervolumes, attainment surfaces, dominance, knees."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bie.analysis.comparison import SIGNS
from bie.analysis.paired import Numbers
from bie.analysis.study import Study
from bie.metrics.cards import CARDS

if TYPE_CHECKING:
    import pandas as pd

PERCENTILES = (25.0, 50.0, 75.0)
"""Per cent of the splits whose front reaches so far."""


@dataclass(frozen=True)
class Cloud:
    """Values of grid points at their common splits, shape (grid points, splits, 2).

    They are turned so that more is better.
    """

    configs: list[str]
    splits: list[str]
    values: Numbers

    def of(self, configs: list[str]) -> Numbers:
        """Values of some of the grid points."""
        return self.values[[self.configs.index(config) for config in configs]]


def cloud_of(study: Study, configs: list[str], axes: tuple[str, str], split: str) -> Cloud:
    """Values of two metrics at the splits that all grid points have finished."""
    import pandas as pd

    runs = study.runs[(study.runs["state"] == "done") & study.runs["config_id"].isin(configs)]
    keys = [runs["config_id"].to_numpy(), runs["split_id"].to_numpy()]
    signs = [SIGNS[CARDS[name].direction] for name in axes]
    tables = list[pd.DataFrame]()
    for name, sign in zip(axes, signs, strict=True):
        values = pd.Series(sign * study.values.loc[runs.index, (split, name)].to_numpy(), keys)
        tables.append(values.groupby(level=[0, 1]).mean().unstack())  # several seeds on one split: their mean
    whole = [table.reindex(configs).notna().all() for table in tables]
    common = whole[0] & whole[1]
    order = runs.drop_duplicates("split_id")["split_id"]
    splits = [name for name in order if common[name]]
    return Cloud(configs, splits, np.stack([t.reindex(configs)[splits].to_numpy() for t in tables], axis=-1))


def hypervolumes(cloud: Cloud, configs: list[str]) -> Numbers:
    """Hypervolume of a front at each split, as a share of the box of all values seen."""
    import moocore

    low, high = cloud.values.min(axis=(0, 1)), cloud.values.max(axis=(0, 1))
    box = np.where(high > low, high - low, 1.0)
    scaled = (cloud.of(configs) - low) / box
    return np.array([moocore.hypervolume(at, ref=[0, 0], maximise=True) for at in scaled.swapaxes(0, 1)])


def bands(values: Numbers, signs: Numbers) -> "pd.DataFrame":
    """Attainment surfaces of points of shape (points, splits, 2), in the units of the metrics."""
    import pandas as pd

    n_points, n_splits, _ = values.shape
    rows = values.swapaxes(0, 1).reshape(-1, 2)
    found = attained(rows, np.repeat(np.arange(n_splits), n_points))
    back = np.concatenate(list(found.values())) * signs
    percent = np.repeat(list(found), [len(corners) for corners in found.values()])
    return pd.DataFrame({"percent": percent, "removal": back[:, 0], "conservation": back[:, 1]})


def attained(points: Numbers, splits: NDArray[np.int64]) -> dict[float, Numbers]:
    """What a share of the splits attains or beats in both coordinates; more is better.

    The empirical attainment function (Fonseca et al. 2001; López-Ibáñez et al. 2010).

    Parameters
    ----------
    points
        Shape (n, 2).
    splits
        Which split each point belongs to.

    Returns
    -------
    dict
        For each of `PERCENTILES` the corners of the surface, by falling first coordinate.
    """
    import moocore

    sets = np.unique(splits, return_inverse=True)[1]
    order = np.argsort(sets, kind="stable")  # where rows of a set lie apart, moocore's surfaces are wrong
    # its surfaces are those of costs
    found = moocore.eaf(-points[order], sets[order], percentiles=PERCENTILES)
    surfaces = {level: -found[np.isclose(found[:, 2], level), :2] for level in PERCENTILES}
    return {level: corners[np.argsort(-corners[:, 0])] for level, corners in surfaces.items()}


def dominated(cloud: Cloud) -> dict[str, tuple[str, float]]:
    """Grid points whose means another one dominates: by which, and at what share of the splits.

    Of several that do, all on the front of the means, the one that does so at most splits.
    """
    import moocore

    means = cloud.values.mean(axis=1)
    front = np.flatnonzero(moocore.is_nondominated(means, maximise=True, keep_weakly=True))
    found = {}
    for config, mean, own in zip(cloud.configs, means, cloud.values, strict=True):
        by = front[_dominates(means[front], mean)]
        if len(by):
            share = _dominates(cloud.values[by], own).mean(axis=1)
            found[config] = cloud.configs[by[share.argmax()]], float(share.max())
    return found


def _dominates(one: Numbers, other: Numbers) -> NDArray[np.bool_]:
    return np.asarray((one >= other).all(axis=-1) & (one > other).any(axis=-1))


def knee(points: Numbers) -> int:
    """Place of the knee of a front: the point farthest beyond the line between its ends (Das 1999).

    Parameters
    ----------
    points
        Shape (n, 2); more is better on both axes.

    Returns
    -------
    int
        -1 where there is none: two points without dominance, or all others within the line. A point that
        dominates all others is the knee.

    >>> knee(np.array([[0.0, 1.0], [0.8, 0.9], [1.0, 0.0]])), knee(np.array([[0.0, 1.0], [1.0, 0.0]]))
    (1, -1)
    """
    import moocore

    best = np.flatnonzero(moocore.is_nondominated(points, maximise=True, keep_weakly=False))
    if len(best) == 1:
        return int(best[0])
    front = points[best]
    low, high = front.min(axis=0), front.max(axis=0)
    beyond = ((front - low) / (high - low)).sum(axis=1) - 1
    place = int(beyond.argmax())
    return int(best[place]) if beyond[place] > 1e-9 else -1
