"""Bases of the sections ``dataset`` of cells, each of which is in the module of its data set."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from bie.config.base import Data
from bie.schema import LOCAL, Float, Int, Section

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
