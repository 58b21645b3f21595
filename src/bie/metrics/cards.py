"""Every number of a run's record with its card: the metrics and the terms of the loss."""

import math

from bie.metrics import (
    batch_silhouette,
    classification,
    clustering,
    critic_audit,
    dependence,
    disentanglement,
    estimation,
    mixing,
    neighbourhoods,
    probes,
    regression,
    retrieval,
    scib,
    transport,
)
from bie.metrics.metric import Card, Metric

_FAMILIES = (
    *(clustering, mixing, dependence, probes),
    *(neighbourhoods, batch_silhouette, regression, transport),
    *(disentanglement, classification),
)

METRICS: dict[str, Metric[...]] = {
    name: member
    for family in _FAMILIES
    for name, member in vars(family).items()
    if isinstance(member, Metric)
}
"""The metrics by name, in the order in which the families define them."""

_SCVI = "Lopez et al. 2018, doi:10.1038/s41592-018-0229-2"
_ANY = (-math.inf, math.inf)
_POSITIVE = (0.0, math.inf)

NO_LIKELIHOOD, NO_CRITIC = "no likelihood", "no critic"
"""Why a model lacks a number that others have, by what it is."""

LOSS_TERMS = {
    "elbo": Card(
        *("neg. ELBO", "lower", _ANY, "nats per cell", _SCVI),
        headline=True,
        about="Negative evidence lower bound, mean over the cells: `reconstruction`, `kl_z` and "
        "`kl_library` in full, whatever the schedule of the KL term, and without the penalty.",
    ),
    "reconstruction": Card(
        *("reconstruction", "lower", _ANY, "nats per cell", _SCVI),
        about="Negative log-likelihood of a cell's counts given one draw of its latent vector and library "
        "size, mean over the cells.",
    ),
    "kl_z": Card(
        *("KL of z", "none", _POSITIVE, "nats per cell", _SCVI),
        about="Kullback-Leibler divergence of the posterior of the latent vector from N(0, I), mean over "
        "the cells.",
    ),
    "kl_library": Card(
        *("KL of the library size", "none", _POSITIVE, "nats per cell", _SCVI),
        about="The same of the logarithm of the library size, from its distribution in the cell's batch; 0 "
        "with `model.library=observed`.",
    ),
}

CARDS: dict[str, Card] = {
    **{name: metric.card for name, metric in METRICS.items()},
    **critic_audit.CARDS,
    **LOSS_TERMS,
    **scib.CARDS,
    **estimation.CARDS,
    **retrieval.CARDS,
}
"""The card of every number that a record may have."""
