"""Poisson counts of two cell types in two batches, the second with half of the genes twice as high."""

from typing import Annotated, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from bie.config.datasets import Source
from bie.config.sections import section
from bie.data.card import Card
from bie.data.cells import Cells, canonical
from bie.schema import Int
from bie.seeds import Streams

CARD = Card(name="blobs", about="simulated: two types, two batches", size="n x 60", batches="2", types="2")

N_GENES = 60


@section
class Blobs(Source):
    """Section ``dataset``."""

    source: Literal["blobs"]
    n_cells: Annotated[Int, Field(ge=20)]
    seed: Annotated[Int, Field(ge=0, lt=2**32)]


def load(settings: Blobs) -> Cells:
    """Simulate the cells; the same settings give the same cells."""
    rng = Streams(settings.seed).numpy("blobs")
    batch_n, type_n = rng.integers(2, size=(2, settings.n_cells))
    mean_kg = rng.gamma(2.0, 1.0, size=(2, N_GENES))
    factor_bg = np.ones((2, N_GENES))
    factor_bg[1, : N_GENES // 2] = 2.0
    counts = rng.poisson(mean_kg[type_n] * factor_bg[batch_n])
    return Cells(
        counts=canonical(sp.csr_matrix(counts)),
        batch=batch_n,
        batches=("control", "raised"),
        label=type_n,
        labels=("type_0", "type_1"),
        cell_names=np.array([f"cell_{n}" for n in range(settings.n_cells)]),
        gene_names=np.array([f"gene_{g}" for g in range(N_GENES)]),
    )
