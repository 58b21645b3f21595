"""Cards of how an estimate of a mutual information compares with the truth (`bie.kinds.pairs`)."""

import math

from bie.metrics.metric import Card

_BELGHAZI = "Belghazi et al. 2018, arXiv:1801.04062"
_MCALLESTER = "McAllester & Stratos 2020, arXiv:1811.04251"
_POSITIVE = (0.0, math.inf)

CARDS = {
    "mi_estimate": Card(
        *("estimate", "none", (-math.inf, math.inf), "nats", _BELGHAZI),
        headline=True,
        about="What the estimator says of the mutual information of the pairs.",
    ),
    "mi_truth": Card(
        *("truth", "none", _POSITIVE, "nats", _BELGHAZI),
        headline=True,
        about="The mutual information of the distribution that the pairs are drawn from.",
    ),
    "mi_error": Card(
        *("error", "lower", _POSITIVE, "nats", _BELGHAZI),
        headline=True,
        about="Absolute difference of `mi_estimate` and `mi_truth`.",
    ),
    "mi_cap": Card(
        *("ln n", "none", _POSITIVE, "nats", _MCALLESTER),
        headline=True,
        about="Logarithm of the number n of pairs, beyond which nobody can be sure of a lower bound.",
    ),
}
