"""The loss of a minibatch, its parts, and their means over minibatches."""

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from bie.errors import RunFailed
from bie.models.scvi import Terms

Row = dict[str, float]


def total(
    parts: dict[str, Tensor], kl: Tensor, penalty: tuple[Tensor, dict[str, Tensor]] | None
) -> dict[str, Tensor]:
    """What the history says of a minibatch, ``loss`` included.

    Parameters
    ----------
    parts
        See `mean_parts`.
    kl
        KL term of the loss, nats per cell.
    penalty
        Its part of the loss, and its terms for the history.
    """
    loss = model_loss(parts, kl)
    if penalty is None:
        return parts | {"loss": loss}
    return parts | penalty[1] | {"loss": loss + penalty[0]}


def model_loss(parts: Mapping[str, Tensor], kl: Tensor) -> Tensor:
    """The model's part of the loss, nats per cell."""
    return parts["reconstruction"] + parts["kl_library"] + kl


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
