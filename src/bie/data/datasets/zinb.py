"""Counts simulated from the model that scVI assumes, with a batch effect of known size.

A cell n of type k in batch b has, for gene g::

    expression  w_kbg   = e_g * d_kg * f_bg * f_kbg
    share       rho_kbg = w_kbg / sum_g w_kbg
    mean        m_ng    = l_n * rho_kbg                        log l_n   ~ Normal(library_mean, library_sd)
    counts      y_ng    ~ NegativeBinomial(mean m_ng, theta_g)  variance m + m^2 / theta
    zeros       P(x_ng = 0 | y_ng) = sigmoid(zero_intercept - zero_slope * log(m_ng + 1e-8)), else x_ng = y_ng

with base expression e ~ Gamma(expression_shape), type factor log d ~ +-Normal(type_mean, type_sd) in a random
`type_share` of the genes, batch factor log f_bg ~ Normal(0, batch_sd), its type-specific part
log f_kbg ~ Normal(0, interaction_sd), and log theta_g ~ Normal(log theta, theta_sd). Batches other than the
first have `library_shift` and `zero_shift` on top. The distributions are those of Lopez et al. (2018) and of
Splatter (Zappia et al. 2017), except that its type factor of log mean 0.1 gives no types that one could find.

Genes so faint that they would be seen fewer than about `_SEEN` times in all cells are left out, as a filter
on counts would, so that hardly a gene is without counts and the size is exactly the one that was asked for.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from pydantic import Field, model_validator

from bie.config.datasets import LogCounts, LogSd, Source
from bie.config.sections import section
from bie.data.card import Card
from bie.data.cells import Cells
from bie.data.composition import batch_and_type, batch_shares, pbmc_shares, type_shares
from bie.data.simulated_counts import (
    Floats,
    Integers,
    check_simulated,
    dropout,
    in_chunks,
    named_cells,
    zinb_counts,
)
from bie.errors import BadInput
from bie.schema import LOCAL, Float, Int, NonNegative, Positive, Share
from bie.seeds import Streams

CARD = Card(
    name="zinb",
    about="simulated: dataset.preset=none|mild|strong (batch effect), dataset.size=smoke|small|pbmc",
    size="4,000 x 500",
    batches="2",
    types="5",
)

_SEEN = 30  # expected counts of the faintest gene: the chance of none at all is about e^-30
_SURPLUS = 4  # genes drawn for each gene wanted


@section
class Zinb(Source):
    """Simulated counts with known truth; see the top of this module."""

    presets: ClassVar[dict[str, float]] = {"none": 0.0, "mild": 0.1, "strong": 0.6}
    sizes: ClassVar[dict[str, tuple[int, int]]] = {
        "smoke": (400, 100),
        "small": (4000, 500),
        "pbmc": (12000, 3346),
    }

    source: Literal["zinb"]
    preset: Annotated[Literal["none", "mild", "strong"], LOCAL]
    size: Annotated[Literal["smoke", "small", "pbmc"], LOCAL]
    n_cells: Annotated[Int, Field(ge=20)]
    n_genes: Annotated[Int, Field(ge=2)]
    n_types: Annotated[Int, Field(ge=1, le=200)]
    n_batches: Annotated[Int, Field(ge=2, le=200)]
    majority_share: Share
    composition_shift: Annotated[Float, Field(ge=0, le=1)]
    composition: Literal["pbmc"] | None = None
    expression_shape: Positive
    type_share: Annotated[Float, Field(ge=0, le=1)]
    type_mean: Annotated[Float, Field(ge=-10, le=10)]
    type_sd: LogSd
    batch_sd: LogSd
    interaction_sd: LogSd
    library_mean: LogCounts
    library_sd: Annotated[Float, Field(ge=0, le=3)]
    library_shift: Annotated[Float, Field(ge=-5, le=5)]
    theta: Annotated[Float, Field(ge=0.01)]
    theta_sd: Annotated[Float, Field(ge=0, le=3)]
    zero_intercept: Float
    zero_slope: NonNegative
    zero_shift: Float
    seed: Annotated[Int, Field(ge=0, lt=2**32)]

    def inactive(self) -> dict[str, str]:
        """A given composition has no shares to choose."""
        shares = ("majority_share", "composition_shift")
        return super().inactive() | (dict.fromkeys(shares, "composition=pbmc") if self.composition else {})

    @model_validator(mode="after")
    def _composition_fits(self) -> Self:
        if self.composition and (self.n_types, self.n_batches) != (9, 2):
            raise BadInput(
                f"dataset.composition={self.composition}: of 9 types in 2 batches, not of {self.n_types} in "
                f"{self.n_batches}. Set dataset.n_types=9 dataset.n_batches=2"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _fill_from_presets(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Replace ``null`` by the number that the preset or size stands for.

        An unknown name is left to the check of its own field.
        """
        n_cells, n_genes = cls.sizes.get(str(values.get("size")), cls.sizes["small"])
        batch_sd = cls.presets.get(str(values.get("preset")), 0.0)
        implied = {"batch_sd": batch_sd, "n_cells": n_cells, "n_genes": n_genes}
        return values | {key: value for key, value in implied.items() if values.get(key) is None}


@dataclass(frozen=True)
class Truth:
    """What the counts were drawn from.

    Attributes
    ----------
    rho_kbg
        Share of gene g in the expression of a cell of type k in batch b; sums to 1 over the genes.
    library_n
        Expected total counts of a cell before technical zeros.
    theta_g
        Inverse dispersion.
    batch_n, type_n
        Codes of batch and type.
    zero_intercept_b, zero_slope
        Of the logit of a technical zero.
    """

    rho_kbg: Floats
    library_n: Floats
    theta_g: Floats
    batch_n: Integers
    type_n: Integers
    zero_intercept_b: Floats
    zero_slope: float

    def mean_ng(self, rows: slice) -> Floats:
        """Mean of the negative binomial counts of some cells, in counts."""
        return self.library_n[rows, None] * self.rho_kbg[self.type_n[rows], self.batch_n[rows]]

    def dropout(self, mean: Floats, batch: Integers) -> Floats:
        """Probability of a technical zero, given mean counts and the batch of each (shapes broadcast)."""
        return dropout(mean, self.zero_intercept_b[batch], self.zero_slope)


def load(settings: Zinb) -> Cells:
    """Simulate the cells; the same settings give the same cells.

    Raises
    ------
    BadInput
        If the settings leave too few genes with counts, cells without counts, or a batch without cells.
    """
    return simulate(settings)[0]


def simulate(settings: Zinb) -> tuple[Cells, Truth]:
    """Simulate the cells and return the truth too; see `load`."""
    streams = Streams(settings.seed)
    truth = _truth(settings, streams)
    counts = _counts(truth, streams.numpy("zinb counts"))
    type_codes, label = np.unique(truth.type_n, return_inverse=True)  # a rare type may have no cell
    cells = named_cells(counts, truth.batch_n, settings.n_batches, label, type_codes.tolist())
    check_simulated(cells, settings.source, _remedy(settings))
    return cells, truth


def _truth(settings: Zinb, streams: Streams) -> Truth:
    share_bk = _composition(settings, streams.numpy("zinb composition"))
    batch_n, type_n = batch_and_type(settings.n_cells, share_bk, streams.numpy("zinb cells"))
    later_b: Floats = np.minimum(np.arange(settings.n_batches, dtype=np.float64), 1)
    library_mean_b: Floats = settings.library_mean + settings.library_shift * later_b
    zero_intercept_b: Floats = settings.zero_intercept + settings.zero_shift * later_b
    weight_kbg = _expression(settings, streams.numpy("zinb genes"))
    seen_g = _expected_counts(weight_kbg, share_bk, library_mean_b, zero_intercept_b, settings)
    kept = np.flatnonzero(seen_g >= _SEEN)[: settings.n_genes]
    if kept.size < settings.n_genes:
        raise BadInput(f"dataset=zinb: only {kept.size} genes would have counts. {_remedy(settings)}")
    weight_kbg = weight_kbg[:, :, kept]
    library_n = streams.numpy("zinb library").lognormal(library_mean_b[batch_n], settings.library_sd)
    theta_g = streams.numpy("zinb theta").lognormal(
        np.log(settings.theta), settings.theta_sd, settings.n_genes
    )
    return Truth(
        rho_kbg=weight_kbg / weight_kbg.sum(axis=-1, keepdims=True),
        library_n=library_n,
        theta_g=theta_g,
        batch_n=batch_n,
        type_n=type_n,
        zero_intercept_b=zero_intercept_b,
        zero_slope=settings.zero_slope,
    )


def _composition(settings: Zinb, rng: np.random.Generator) -> Floats:
    if settings.composition == "pbmc":
        return pbmc_shares()
    share_b = batch_shares(settings.n_batches, settings.majority_share)
    return type_shares(share_b, settings.n_types, settings.composition_shift, rng)


def _expression(settings: Zinb, rng: np.random.Generator) -> Floats:
    """Draw the expression w_kbg, for more genes than wanted."""
    n_genes, n_types, n_batches = _SURPLUS * settings.n_genes, settings.n_types, settings.n_batches
    base_g = rng.gamma(settings.expression_shape, size=n_genes)
    differs_kg = rng.random((n_types, n_genes)) < settings.type_share
    sign_kg = rng.choice([-1.0, 1.0], (n_types, n_genes))
    type_kg = differs_kg * sign_kg * rng.normal(settings.type_mean, settings.type_sd, (n_types, n_genes))
    batch_bg = settings.batch_sd * rng.standard_normal((n_batches, n_genes))
    both_kbg = settings.interaction_sd * rng.standard_normal((n_types, n_batches, n_genes))
    weight_kbg: Floats = base_g * np.exp(type_kg[:, None] + batch_bg + both_kbg)
    return weight_kbg


def _expected_counts(
    weight_kbg: Floats, share_bk: Floats, library_mean_b: Floats, zero_intercept_b: Floats, settings: Zinb
) -> Floats:
    """About how many counts each gene would have in all cells, if `n_genes` like these shared the library."""
    rho_kbg = weight_kbg / (settings.n_genes * weight_kbg.mean(axis=-1, keepdims=True))
    mean_kbg = np.exp(library_mean_b)[:, None] * rho_kbg
    seen_kbg = mean_kbg * (1 - dropout(mean_kbg, zero_intercept_b[:, None], settings.zero_slope))
    seen_g: Floats = settings.n_cells * np.einsum("bk,kbg->g", share_bk, seen_kbg)
    return seen_g


def _counts(truth: Truth, rng: np.random.Generator) -> sp.csr_matrix:
    def draw(rows: slice) -> sp.csr_matrix:
        intercept_n = truth.zero_intercept_b[truth.batch_n[rows]]
        return zinb_counts(truth.mean_ng(rows), truth.theta_g, intercept_n, truth.zero_slope, rng)

    return in_chunks(truth.batch_n.size, draw)


def _remedy(settings: Zinb) -> str:
    return (
        f"Raise dataset.n_cells={settings.n_cells} or dataset.library_mean={settings.library_mean:g}, "
        f"or lower dataset.n_genes={settings.n_genes} or dataset.n_batches={settings.n_batches}"
    )
