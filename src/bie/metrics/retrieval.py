"""Are sets of the same class nearest to each other? How well each finds the others, by cosine similarity."""

import numpy as np
from numpy.typing import NDArray

from bie.metrics.metric import Card

_MANNING = "Manning et al. 2008, Introduction to Information Retrieval, ch. 8"
_BESTGEN = "Bestgen 2015, doi:10.1007/978-3-319-18117-2_5"

CARDS = {
    "map": Card(
        *("mAP", "higher", (0.0, 1.0), "", _MANNING),
        headline=True,
        about="Mean average precision: each set ranks all others by cosine similarity of their vectors, "
        "relevant are the R others of its class; the mean over the sets of the average precision.",
    ),
    "map_chance": Card(
        *("mAP, chance", "none", (0.0, 1.0), "", _BESTGEN),
        headline=True,
        about="What `map` is to be expected of a random order.",
    ),
    "precision_at_r": Card(
        *("precision at R", "higher", (0.0, 1.0), "", _MANNING),
        headline=True,
        about="Share of the relevant sets among the first R in the order of `map`, mean over the sets.",
    ),
    "precision_at_r_chance": Card(
        *("precision at R, chance", "none", (0.0, 1.0), "", _MANNING),
        headline=True,
        about="What `precision_at_r` is to be expected of a random order.",
    ),
}


def retrieval(z_sd: NDArray[np.float64], class_s: NDArray[np.int64]) -> dict[str, float]:
    """Every number of `CARDS`.

    Each set ranks all others by cosine similarity; relevant are the R others of its class. `map` is the mean
    over the sets of the average precision, `precision_at_r` of the share of the relevant among the first R. A
    vector of zeros is like no other.
    """
    from sklearn.metrics import average_precision_score

    length_s = np.linalg.norm(z_sd, axis=1, keepdims=True)
    unit_sd = z_sd / np.where(length_s > 0, length_s, 1)
    similarity = unit_sd @ unit_sd.T
    precisions, at_r, chances, chances_at_r = [], [], [], []
    for i in range(len(z_sd)):
        others = np.arange(len(z_sd)) != i
        relevant, score = class_s[others] == class_s[i], similarity[i, others]
        n, r = len(score), int(relevant.sum())
        precisions.append(average_precision_score(relevant, score))
        at_r.append(_precision_at(r, relevant, score))
        chances.append(expected_average_precision(r, n))
        chances_at_r.append(r / n)
    means = (float(np.mean(values)) for values in (precisions, chances, at_r, chances_at_r))
    return dict(zip(CARDS, means, strict=True))


def _precision_at(r: int, relevant: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Share of the relevant among the r of highest score; of those that tie for the last places, the mean."""
    least = np.sort(score)[-r]
    above, tied = score > least, score == least
    places = (r - above.sum()) / tied.sum()
    return float((relevant[above].sum() + places * relevant[tied].sum()) / r)


def expected_average_precision(r: int, n: int) -> float:
    """Mean average precision of a random order of n, r of which are relevant (Bestgen 2015).

    >>> round(expected_average_precision(3, 15), 4)
    0.3325
    """
    harmonic = sum(1 / i for i in range(1, n + 1))
    return ((r - 1) / (n - 1) * (n - harmonic) + harmonic) / n if n > 1 else 1.0
