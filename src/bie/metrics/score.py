"""All metrics of one part of the cells."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bie.config import Metrics
from bie.metrics import scib
from bie.metrics.cards import METRICS
from bie.metrics.metric import Codes, call_by_name
from bie.metrics.part import CountsOf, Part
from bie.metrics.probes import f1_by_batch
from bie.seeds import Streams


class Scores(NamedTuple):
    """What is found of a part of the cells.

    Attributes
    ----------
    values
        Every metric; None where it cannot be computed.
    missing
        Why not, for each of these.
    notes
        What a reader of a value has to know, by metric.
    f1_by_batch
        F1 of the probe for each batch (its code); none where `probe_f1` is missing.
    ot_by_label
        OT ratio of each cell type (its code) that was compared; none where `ot_ratio` is missing.
    """

    values: dict[str, float | None]
    missing: dict[str, str]
    notes: dict[str, str]
    f1_by_batch: dict[int, float]
    ot_by_label: dict[int, float]


def score(
    z_nd: NDArray[np.floating],
    batch_n: Codes,
    n_batches: int,
    label_n: Codes | None,
    n_labels: int,
    settings: Metrics,
    streams: Streams,
    fitted: tuple[NDArray[np.floating], Codes] | None = None,
    counts_of: CountsOf | None = None,
    factor_nf: NDArray[np.float64] | None = None,
    predicted_n: Codes | None = None,
) -> Scores:
    """Score one part of the cells by every metric, in float64 and on one thread.

    Parameters
    ----------
    z_nd
        Latent vectors, finite.
    batch_n, n_batches
        Batch codes and the number of batches of the data set.
    label_n, n_labels
        Label codes or None, and the number of labels of the data set.
    settings
        ``metrics`` of the configuration.
    streams
        Of the run.
    fitted
        Latent vectors and batch codes of the cells on which probes are fitted: the training cells where test
        cells are scored; None: the part itself, in halves.
    counts_of
        Gives the counts of some of the cells, by their places here; None: what compares with them is missing.
    factor_nf
        Generative factors of the cells, where they are known.
    predicted_n
        Labels that the model predicts, where it predicts any.
    """
    from threadpoolctl import threadpool_limits

    fitted_z_nd, fitted_batch_n = fitted or (None, None)
    fitted_nd = None if fitted_z_nd is None else np.asarray(fitted_z_nd, np.float64)
    of_cells = np.asarray(z_nd, np.float64), batch_n, n_batches, label_n, n_labels
    part = Part(*of_cells, settings, streams, fitted_nd, fitted_batch_n, counts_of, factor_nf, predicted_n)
    found = Scores({}, {}, {}, {}, {})
    with threadpool_limits(1):  # sums in another order would change the last digits
        for name in METRICS:
            _enter(found, name, part)
        if found.values["probe_f1"] is not None:
            batches, f1_b = f1_by_batch(part.probe_pnb, part.judged_batch_n)
            found.f1_by_batch.update(zip(batches.tolist(), f1_b.tolist(), strict=True))
        if found.values["ot_ratio"] is not None:
            found.ot_by_label.update(part.transport_ratios.by_label)
        if settings.names == "scib":
            scib.enter(found.values, found.missing)
    return found


def _enter(found: Scores, name: str, part: Part) -> None:
    """Compute a metric, or say why not."""
    metric = METRICS[name]
    reason = next(filter(None, (call_by_name(need, part) for need in metric.needs)), None)
    value = None if reason else call_by_name(metric, part)
    if value is not None and not math.isfinite(value):
        value, reason = None, f"its value is {value}"
    found.values[name] = value
    if reason:
        found.missing[name] = reason
        return
    caveats = [caveat for caveat in (call_by_name(caveat, part) for caveat in metric.caveats) if caveat]
    if caveats:
        found.notes[name] = "; ".join(caveats)
