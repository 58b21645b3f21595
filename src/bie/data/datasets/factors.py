"""Counts decoded from known independent factors, to see which of them an embedding keeps apart.

A cell n of type k in batch b, whose factor f has the value v_nf, has for gene g::

    expression  w_ng = e_g * exp(sum_f a_fg * v_nf + t_kg + s_bg)
    mean        m_ng = l_n * w_ng / sum_g w_ng          log l_n ~ Normal(library_mean, library_sd)
    counts      x_ng ~ Poisson(m_ng), or negative binomial with technical zeros, as those of `dataset=zinb`

with e ~ Gamma(expression_shape) + `_FAINTEST`, loadings a_fg ~ Normal(0, factor_sd * factor_decay^f) in a
random `factor_share` of the genes, t ~ Normal(0, type_sd) and s ~ Normal(0, batch_sd). Factors, type and
batch are drawn independently. The factors differ in strength, for a model can find axes only where no
rotation of them fits as well (Rolinek et al. 2019, doi:10.1109/CVPR.2019.01269).
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field, model_validator

from bie.config.datasets import LogCounts, LogSd, Source
from bie.config.sections import section
from bie.data.card import Card
from bie.data.cells import Cells, canonical
from bie.data.composition import batch_shares
from bie.data.simulated_counts import Floats, check_simulated, in_chunks, named_cells, zinb_counts
from bie.schema import LOCAL, Float, Int, NonNegative, Positive, Share
from bie.seeds import Streams

CARD = Card(
    name="factors",
    about="simulated from known independent factors: dataset.size=smoke|small, dataset.counts=zinb|poisson",
    size="2,000 x 200",
    batches="2",
    types="4",
)

_FAINTEST = 0.1  # of the genes' mean expression, 0.6: no gene is without counts


@section
class Factors(Source):
    """Counts decoded from known independent factors; see the top of this module."""

    sizes: ClassVar[dict[str, tuple[int, int]]] = {"smoke": (400, 100), "small": (2000, 200)}

    source: Literal["factors"]
    size: Annotated[Literal["smoke", "small"], LOCAL]
    n_cells: Annotated[Int, Field(ge=20)]
    n_genes: Annotated[Int, Field(ge=2)]
    n_factors: Annotated[Int, Field(ge=2, le=100)]
    n_levels: Annotated[Int, Field(ge=2, le=20)]
    factor_share: Annotated[Float, Field(gt=0, le=1)]
    factor_sd: LogSd
    factor_decay: Annotated[Float, Field(gt=0, le=1)]
    n_types: Annotated[Int, Field(ge=1, le=200)]
    type_sd: LogSd
    n_batches: Annotated[Int, Field(ge=2, le=200)]
    majority_share: Share
    batch_sd: LogSd
    expression_shape: Positive
    library_mean: LogCounts
    library_sd: Annotated[Float, Field(ge=0, le=3)]
    counts: Literal["zinb", "poisson"]
    theta: Annotated[Float, Field(ge=0.01)]
    zero_intercept: Float
    zero_slope: NonNegative
    seed: Annotated[Int, Field(ge=0, lt=2**32)]

    @model_validator(mode="before")
    @classmethod
    def _fill_from_size(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Replace ``null`` by the number that the size stands for."""
        n_cells, n_genes = cls.sizes.get(str(values.get("size")), cls.sizes["small"])
        implied = {"n_cells": n_cells, "n_genes": n_genes}
        return values | {key: value for key, value in implied.items() if values.get(key) is None}

    def inactive(self) -> dict[str, str]:
        """Poisson counts have neither dispersion nor technical zeros."""
        unused = dict.fromkeys(("theta", "zero_intercept", "zero_slope"), "counts=poisson")
        return super().inactive() | (unused if self.counts == "poisson" else {})


def load(settings: Factors) -> Cells:
    """Simulate the cells; the same settings give the same cells.

    Raises
    ------
    BadInput
        If the settings leave cells or genes without counts, or a batch without cells.
    """
    streams = Streams(settings.seed)
    n, rng = settings.n_cells, streams.numpy("factors cells")
    factor_nf = _levels(settings.n_levels)[rng.integers(settings.n_levels, size=(n, settings.n_factors))]
    label_n = rng.permutation(np.arange(n) % settings.n_types)
    batch_n = rng.permutation(np.searchsorted(_last_b(settings), np.arange(n), side="right"))
    base_g, loading_fg, type_kg, batch_bg = _effects(settings, streams.numpy("factors genes"))
    library_n = streams.numpy("factors library").lognormal(settings.library_mean, settings.library_sd, n)
    count_rng = streams.numpy("factors counts")

    def draw(rows: slice) -> sp.csr_matrix:
        w_ng = base_g * np.exp(
            factor_nf[rows] @ loading_fg + type_kg[label_n[rows]] + batch_bg[batch_n[rows]]
        )
        mean_ng = library_n[rows, None] * w_ng / w_ng.sum(axis=1, keepdims=True)
        return _counts(settings, mean_ng, count_rng)

    types = range(settings.n_types)
    cells = named_cells(in_chunks(n, draw), batch_n, settings.n_batches, label_n, types, factor_nf)
    remedy = (
        f"Raise dataset.n_cells={n} or dataset.library_mean={settings.library_mean:g}, "
        f"or lower dataset.n_genes={settings.n_genes}"
    )
    check_simulated(cells, settings.source, remedy)
    return cells


def _levels(n_levels: int) -> Floats:
    """Evenly spaced values with mean 0 and sd 1."""
    values = np.arange(n_levels, dtype=np.float64)
    standard: Floats = (values - values.mean()) / values.std()
    return standard


def _last_b(settings: Factors) -> Floats:
    """First cell after those of each batch but the last, in order of the batches."""
    share_b = batch_shares(settings.n_batches, settings.majority_share)[:-1]
    last_b: Floats = np.rint(settings.n_cells * share_b.cumsum())
    return last_b


def _effects(settings: Factors, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Base expression of the genes, and the log effects of factors, types and batches on each."""
    n_genes, shape_fg = settings.n_genes, (settings.n_factors, settings.n_genes)
    base_g = rng.gamma(settings.expression_shape, size=n_genes) + _FAINTEST
    sd_f = settings.factor_sd * settings.factor_decay ** np.arange(settings.n_factors)
    acts_fg = rng.random(shape_fg) < settings.factor_share
    loading_fg = sd_f[:, None] * acts_fg * rng.standard_normal(shape_fg)
    type_kg = settings.type_sd * rng.standard_normal((settings.n_types, n_genes))
    batch_bg = settings.batch_sd * rng.standard_normal((settings.n_batches, n_genes))
    return base_g, loading_fg, type_kg, batch_bg


def _counts(settings: Factors, mean_ng: Floats, rng: np.random.Generator) -> sp.csr_matrix:
    if settings.counts == "poisson":
        return canonical(sp.csr_matrix(rng.poisson(mean_ng)))
    n_cells, n_genes = mean_ng.shape
    theta_g, intercept_n = np.full(n_genes, settings.theta), np.full(n_cells, settings.zero_intercept)
    return zinb_counts(mean_ng, theta_g, intercept_n, settings.zero_slope, rng)
