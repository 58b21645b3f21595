"""scVI as scvi-tools trains it (Gayoso et al. 2022, doi:10.1038/s41587-021-01206-w): `scvi`'s peer."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bie.config.base import Control
from bie.config.sections import section
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods.base import Joint, Rows, needs
from bie.schema import Count, Float, Int, NonNegative, Positive
from bie.seeds import Streams


@section
class ScviToolsSection(Control):
    """Section ``model``."""

    method: Literal["scvi_tools"]
    n_hidden: Count
    n_layers: Count
    dropout: Annotated[Float, Field(ge=0, lt=1)]
    likelihood: Literal["zinb", "nb", "poisson"]
    library: Literal["modelled", "observed"]
    epochs: Count
    warmup_epochs: Count
    lr: Positive
    weight_decay: NonNegative
    batch_size: Annotated[Int, Field(ge=2)]


class ScviTools(Joint):
    """scvi-tools' SCVI, trained on the training cells alone; the latent vectors are posterior means.

    Parameters
    ----------
    settings
        Section ``model``.
    """

    def __init__(self, settings: ScviToolsSection) -> None:
        self.settings = settings

    def check(self, cells: Cells, n_train: int) -> None:
        """Raise `BadInput` without scvi-tools, or for a library size that it cannot model."""
        needs("scvi-tools>=1.4", "scvi", self.settings.name)
        batch = _without_spread(cells)
        if self.settings.library == "modelled" and batch is not None:
            raise BadInput(
                f"model.library=modelled: the cells of batch {batch} all have the same total count, of which "
                "scvi-tools makes a prior of variance 0. Use model.library=observed"
            )

    def latent(self, cells: Cells, train: Rows, streams: Streams) -> NDArray[np.float32]:
        """Train and embed, on the CPU."""
        import scvi
        from anndata import AnnData
        from pandas import Categorical, DataFrame

        settings = self.settings
        batch = Categorical(np.asarray(cells.batches)[cells.batch])
        data = AnnData(cells.counts.copy(), obs=DataFrame({"batch": batch}, index=cells.cell_names))
        with _global_seed(streams.integer("scvi-tools")):
            scvi.model.SCVI.setup_anndata(data, batch_key="batch")
            model = scvi.model.SCVI(
                data,
                n_latent=settings.n_latent,
                n_hidden=settings.n_hidden,
                n_layers=settings.n_layers,
                dropout_rate=settings.dropout,
                gene_likelihood=settings.likelihood,
                use_observed_lib_size=settings.library == "observed",
            )
            none, single = np.zeros(0, np.int64), len(train) % settings.batch_size == 1
            held_out = np.setdiff1d(np.arange(cells.n_cells), train)
            model.train(
                max_epochs=settings.epochs,
                batch_size=settings.batch_size,
                accelerator="cpu",
                datasplitter_kwargs={
                    "external_indexing": [train, none, held_out],
                    "drop_last": single,  # their batch norm fails on a minibatch of one cell
                },
                plan_kwargs={
                    "lr": settings.lr,
                    "weight_decay": settings.weight_decay,
                    "n_epochs_kl_warmup": settings.warmup_epochs,
                },
                enable_progress_bar=False,
            )
            return np.asarray(model.get_latent_representation(), np.float32)


def _without_spread(cells: Cells) -> str | None:
    """A batch whose cells all have the same total count, if there is one."""
    total_n = np.asarray(cells.counts.sum(axis=1, dtype=np.float64)).ravel()
    named = enumerate(cells.batches)
    return next((name for b, name in named if not np.ptp(total_n[cells.batch == b])), None)


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators that scvi-tools draws from, and leave them as they were."""
    import scvi
    import torch

    numpy_state, python_state, before = np.random.get_state(), random.getstate(), scvi.settings.seed
    with torch.random.fork_rng(devices=[]):
        try:
            scvi.settings.seed = seed
            yield
        finally:
            scvi.settings._seed = before
            np.random.set_state(numpy_state)
            random.setstate(python_state)


build = ScviTools
