"""Cards of how an estimate of a mutual information compares with the truth (`bie.kinds.pairs`)."""

import math

from bie.metrics.metric import Card

_BELGHAZI = "Belghazi et al. 2018, arXiv:1801.04062"
_MCALLESTER = "McAllester & Stratos 2020, arXiv:1811.04251"
_POSITIVE = (0.0, math.inf)

CARDS = {
    "mi_estimate": Card("estimate", "none", (-math.inf, math.inf), "nats", _BELGHAZI, headline=True),
    "mi_truth": Card("truth", "none", _POSITIVE, "nats", _BELGHAZI, headline=True),
    "mi_error": Card("error", "lower", _POSITIVE, "nats", _BELGHAZI, headline=True),
    "mi_cap": Card("ln n", "none", _POSITIVE, "nats", _MCALLESTER, headline=True),
}
"""`mi_error` is the absolute difference; beyond `mi_cap` nobody can be sure of a lower bound from n pairs."""
