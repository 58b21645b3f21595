"""The loss of a minibatch, its parts, and their means over minibatches."""

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor

from bie.errors import RunFailed
from bie.models.scvi import Terms

Row = dict[str, float]


class Term(Protocol):
    """What a penalty is to a loss; in a step its critic learns first."""

    def term(self, z_nd: Tensor, mean_nd: Tensor, batch_n: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Its part of the loss, and terms for the history; see `PenaltyTrainer.term` and `Judge.term`."""


def total(
    terms: Terms, kl: Tensor, penalty: Term | None, batch_n: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of a minibatch, and what the history says of it, ``loss`` included.

    Parameters
    ----------
    terms
        Of the model.
    kl
        KL term of the loss, nats per cell.
    penalty, batch_n
        Asked for its part, with the latent vectors of `terms` and these batch codes.
    """
    parts = mean_parts(terms)
    loss = parts["reconstruction"] + parts["kl_library"] + kl
    if penalty:
        penalty_loss, penalty_parts = penalty.term(terms.z_nd, terms.mean_nd, batch_n)
        loss, parts = loss + penalty_loss, parts | penalty_parts
    return loss, parts | {"loss": loss}


def mean_parts(terms: Terms) -> dict[str, Tensor]:
    """Mean of each part of the loss over the cells of a minibatch, ``(...)``."""
    reconstruction, kl_z, kl_library = (
        part_n.mean(-1) for part_n in (terms.reconstruction_n, terms.kl_z_n, terms.kl_library_n)
    )
    elbo = reconstruction + kl_z + kl_library
    return {"reconstruction": reconstruction, "kl_z": kl_z, "kl_library": kl_library, "elbo": elbo}


def numbers(parts: Mapping[str, Tensor]) -> Row:
    """The parts as Python numbers."""
    return {name: part.item() for name, part in parts.items()}


def mean_over(rows: Iterable[tuple[int, Row]]) -> Row:
    """Mean of each term over all cells, where a row holds the means of so many of them."""
    totals: Row = {}
    n_cells = 0
    for n, row in rows:
        n_cells += n
        totals = {name: totals.get(name, 0.0) + n * value for name, value in row.items()}
    return {name: total / n_cells for name, total in totals.items()}


def finite(row: Row, epoch: int) -> Row:
    """Hand the row on if all its numbers are finite, else end the run."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise RunFailed(
                "nan",
                f"{name} is {value} in epoch {epoch + 1}; a smaller train.lr may help, or, where total "
                "counts differ a hundredfold, model.library=observed",
            )
    return row
