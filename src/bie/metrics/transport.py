"""Optimal transport between batches, beside transport within a batch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card, Codes, Embedding, metric
from bie.metrics.needs import mixed_type, not_collapsed

DRAWS, MOST_CELLS, FEWEST_CELLS, MOST_GROUPS = 10, 200, 10, 40
"""Draws for each group and cells of a draw, at most; cells of a group at least; groups compared at most."""

_PEYRE = "Peyré & Cuturi 2019, doi:10.1561/2200000073"


class Ratios(NamedTuple):
    """OT ratio of each group that was compared, a batch within a type, and the code of this type."""

    label_g: Codes
    ratio_g: NDArray[np.float64]

    @property
    def by_label(self) -> dict[int, float]:
        """Mean over the groups of each type."""
        labels = np.unique(self.label_g).tolist()
        return {label: float(self.ratio_g[self.label_g == label].mean()) for label in labels}


def _transportable(batch_n: Codes, label_n: Codes | None) -> str | None:
    """POT is installed, and some cell type has two batches large enough to be halved."""
    from importlib.util import find_spec

    if find_spec("ot") is None:
        return "POT is not installed: pip install 'bie[ot]'"
    if label_n is None:
        return "no labels"
    return (
        None
        if _groups(batch_n, label_n)
        else f"no cell type with {FEWEST_CELLS} cells of each of two batches"
    )


def _compared_in_part(batch_n: Codes, label_n: Codes | None) -> str | None:
    """Caveat of many batches."""
    n_groups = 0 if label_n is None else len(_groups(batch_n, label_n))
    return f"{MOST_GROUPS} of {n_groups} groups, drawn at random" if n_groups > MOST_GROUPS else None


def _groups(batch_n: Codes, label_n: Codes) -> list[tuple[Codes, Codes]]:
    """Rows of each batch within each type, and of all other batches of the type; two batches are one pair."""
    return list(_pairs(batch_n, label_n))


def _pairs(batch_n: Codes, label_n: Codes) -> Iterator[tuple[Codes, Codes]]:
    for label in np.unique(label_n):
        of_type = np.flatnonzero(label_n == label)
        present = np.unique(batch_n[of_type])
        for batch in present[:1] if len(present) == 2 else present:
            is_own = batch_n[of_type] == batch
            own, rest = of_type[is_own], of_type[~is_own]
            if min(len(own), len(rest)) >= FEWEST_CELLS:
                yield own, rest


@metric(
    Card("OT ratio", "lower", (0.0, np.inf), "", _PEYRE),
    mixed_type,
    _transportable,
    not_collapsed,
    caveats=(_compared_in_part,),
)
def ot_ratio(transport_ratios: Ratios) -> float:
    """Cost of moving the cells of a batch onto those of other batches of their type, in units of chance: 1
    mixed.

    For a batch within a type: the mean, over ten draws of up to 200 cells of each side, of the exact
    1-Wasserstein distance (Euclidean), divided by the larger of the two that disjoint draws of the same
    number from one side alone have. Then the mean over batches and types. It sees what means do not, such as
    batches stretched in different directions. A batch that is wider in all directions it sees in few
    dimensions only: from about ten on, moving within the wide one costs more than moving between the two, and
    the ratio falls below 1 (of gaussians, one with twice the sd, in ten dimensions, 200 cells each: .95).
    """
    return float(transport_ratios.ratio_g.mean())


def ratios(z_nd: Embedding, batch_n: Codes, label_n: Codes, seed: int) -> Ratios:
    """Ratio of every group that is compared; see `ot_ratio`."""
    rng = np.random.default_rng(seed)
    groups = _groups(batch_n, label_n)
    chosen = sorted(rng.permutation(len(groups))[:MOST_GROUPS])
    label_g = label_n[[groups[i][0][0] for i in chosen]]
    return Ratios(label_g, np.array([_ratio(z_nd[groups[i][0]], z_nd[groups[i][1]], rng) for i in chosen]))


def _ratio(own_nd: Embedding, rest_nd: Embedding, rng: np.random.Generator) -> float:
    size = min(MOST_CELLS, len(own_nd) // 2, len(rest_nd) // 2)
    apart, null_own, null_rest = 0.0, 0.0, 0.0
    for _ in range(DRAWS):
        own, rest = (rng.permutation(len(side))[: 2 * size] for side in (own_nd, rest_nd))
        apart += distance(own_nd[own[:size]], rest_nd[rest[:size]])
        null_own += distance(own_nd[own[:size]], own_nd[own[size:]])
        null_rest += distance(rest_nd[rest[:size]], rest_nd[rest[size:]])
    null = max(null_own, null_rest)
    return apart / null if null > 0 else 1.0 if apart == 0 else np.inf


def distance(a_nd: Embedding, b_nd: Embedding) -> float:
    """Exact 1-Wasserstein distance of two samples, every cell with the same weight."""
    import ot
    from scipy.spatial.distance import cdist

    uniform = [np.full(len(side), 1 / len(side)) for side in (a_nd, b_nd)]
    return float(ot.emd2(*uniform, cdist(a_nd, b_nd)))
