"""Was the critic of a run trained? Its own bound on the dependence, beside what independent methods find.

In 2019 nobody saw that a critic was never trained: its penalty was a number like any other. Here every record
of a model with a critic has the critic's own lower bound on I(z; batch), by the latent vectors of the last
epoch, beside `mi_ross` and the probes, which no penalty trains against. A bound near 0 is what a penalty that
works leaves behind, and what a critic that sees nothing says of anything; the others tell which.
"""

import math
from collections.abc import Mapping

from bie.metrics.metric import Card

CARDS = {
    "critic_bound": Card(
        "critic's MI",
        "none",
        (-math.inf, math.inf),
        "nats",
        "Belghazi et al. 2018, arXiv:1801.04062",
        headline=True,
        optional=True,
        about="Lower bound on the information of the latent vector about the batch, as the penalty's own "
        "critic states it: of test cells after the last epoch, of training cells by the minibatches of that "
        "epoch, each of which it has just learned from; of an adversary `ln B` less its cross-entropy. About "
        "0 where nothing is left, or where the critic sees nothing: `mi_ross` and the probes tell which.",
    )
}

FOUND = 0.1
"""Dependence, in nats, that `mi_ross` does not find by chance in the cells of a usual data set."""
BLIND = 0.2
"""Share of it that a critic has to see."""


def bound(row: Mapping[str, float], part: str, term: str, n_batches: int) -> float | None:
    """What the critic's lower bound was at the last epoch, nats; None where it left none.

    Parameters
    ----------
    row
        The last one of the history.
    part, term
        ``train`` or ``test``, and the penalty's column there: a bound itself, or the cross-entropy of a
        classifier to which all batches count alike, which falls short of ln(batches) by one (Barber & Agakov
        2003).
    """
    value = row.get(f"{part}_{term}")
    if value is None or not math.isfinite(value):
        return None
    return math.log(n_batches) - value if term == "cross_entropy" else value


def doubt(bound: float | None, values: Mapping[str, float | None]) -> str | None:
    """What speaks against a critic, by the other metrics of the same cells; None: nothing."""
    if bound is not None and bound < -FOUND:
        return (
            f"the critic says {bound:.2g} nats, and a mutual information is never below 0: it is untrained, "
            "or far behind the encoder"
        )
    neighbours, f1, f1_of_noise = (values.get(name) for name in ("mi_ross", "probe_f1", "probe_f1_random"))
    if bound is None or neighbours is None or neighbours < FOUND or bound >= BLIND * neighbours:
        return None
    if f1 is not None and f1_of_noise is not None and f1 <= f1_of_noise:
        return None
    seen = "" if f1 is None else f" and a probe finds the batch (F1 {f1:.2f})"
    return (
        f"the critic sees {bound:.2g} nats where nearest neighbours find {neighbours:.2g}{seen}: it is "
        "untrained, blind by its form, or outrun by the encoder"
    )
