"""Section ``dataset``: one class for each source of cells."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bie.config.base import Data
from bie.config.pairs import Pairs
from bie.config.sets import Sets
from bie.errors import BadInput
from bie.schema import LOCAL, Float, Int, NonNegative, Positive, Section, Share

_PRESETS = {"none": 0.0, "mild": 0.1, "strong": 0.6}
_SIZES = {"smoke": (400, 100), "small": (4000, 500), "pbmc": (12000, 3346)}
_FACTOR_SIZES = {"smoke": (400, 100), "small": (2000, 200)}

LogCounts = Annotated[Float, Field(ge=0, le=14)]  # e^14 counts in one gene still fit float32
LogSd = Annotated[Float, Field(ge=0, le=10)]


class Source(Data):
    """What all sources of cells have.

    Attributes
    ----------
    n_top_genes, hvg
        Each run models so many highly variable genes, chosen on its training cells (`bie.data.hvg`); None:
        all genes.
    """

    n_top_genes: Annotated[Int, Field(ge=2)] | None = None
    hvg: Literal["seurat_v3", "pearson_residuals", "cell_ranger"] = "seurat_v3"

    def inactive(self) -> dict[str, str]:
        """Without a number of genes, none are chosen."""
        return {"hvg": "n_top_genes=null"} if self.n_top_genes is None else {}


class Zinb(Source):
    """Simulated counts with known truth; see `bie.data.datasets.zinb`."""

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
        n_cells, n_genes = _SIZES.get(str(values.get("size")), _SIZES["small"])
        batch_sd = _PRESETS.get(str(values.get("preset")), 0.0)
        implied = {"batch_sd": batch_sd, "n_cells": n_cells, "n_genes": n_genes}
        return values | {key: value for key, value in implied.items() if values.get(key) is None}


class Factors(Source):
    """Counts decoded from known independent factors; see `bie.data.datasets.factors`."""

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
        n_cells, n_genes = _FACTOR_SIZES.get(str(values.get("size")), _FACTOR_SIZES["small"])
        implied = {"n_cells": n_cells, "n_genes": n_genes}
        return values | {key: value for key, value in implied.items() if values.get(key) is None}

    def inactive(self) -> dict[str, str]:
        """Poisson counts have neither dispersion nor technical zeros."""
        silent = dict.fromkeys(("theta", "zero_intercept", "zero_slope"), "counts=poisson")
        return super().inactive() | (silent if self.counts == "poisson" else {})


class Own(Source):
    """A user's own counts; their content, not their place, is their identity.

    Attributes
    ----------
    fractional
        What becomes of values that are not whole.
    min_counts, min_cells
        Least total of a cell, and number of cells with a count of a gene, that stays; None: all stay.
    """

    fractional: Literal["refuse", "round", "keep"] = "refuse"
    min_counts: Annotated[Annotated[Int, Field(ge=1)] | None, LOCAL] = None
    min_cells: Annotated[Annotated[Int, Field(ge=1)] | None, LOCAL] = None

    def scientific(self, read: Callable[[Section], dict[str, Any]] | None = None) -> dict[str, Any]:
        """Whole counts need no word on fractions."""
        plain = super().scientific(read)
        return plain if self.fractional != "refuse" else {k: v for k, v in plain.items() if k != "fractional"}


class H5ad(Own):
    """A user's AnnData file with raw counts."""

    source: Literal["h5ad"]
    path: Annotated[Path, LOCAL]
    layer: Annotated[str | None, LOCAL]
    batch_key: Annotated[str, LOCAL]
    label_key: Annotated[str | None, LOCAL]


class Tenx(Own):
    """A user's 10x samples, named by a sample sheet."""

    source: Literal["tenx"]
    samples: Annotated[Path, LOCAL]


class Pbmc(Source):
    """The PBMC set of the scVI study (10x 8k and 4k)."""

    source: Literal["pbmc"]
    cache: Annotated[Path | None, LOCAL]


class Retina(Source):
    """The mouse retina set of the scVI study."""

    source: Literal["retina"]
    cache: Annotated[Path | None, LOCAL]


Dataset = Annotated[
    Zinb | Factors | H5ad | Tenx | Pbmc | Retina | Pairs | Sets, Field(discriminator="source")
]
