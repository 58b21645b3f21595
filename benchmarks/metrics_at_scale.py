"""Metrics of many cells: batch entropy of all cells and of a sample; silhouettes.

    python -m benchmarks.metrics_at_scale [--cells 200000] [--write]

Latent vectors of 10 dimensions: 12 types, two batches of one and two thirds that are half apart. Neighbours
of all cells are found, and those of a sample. ``--write`` puts the table into docs/performance.md.
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import date
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.page import DOCS, processor, put
from bie.metrics.metric import Codes, Embedding
from bie.metrics.mixing import be
from bie.metrics.neighbours import SAMPLE, nearest
from bie.metrics.silhouette import silhouette_widths

T = TypeVar("T")
K, SILHOUETTES = 50, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    z_nd, batch_n, label_n = cells(arguments.cells)
    with threadpool_limits(1):
        few = slice(SILHOUETTES)
        _, widths_s = timed(lambda: silhouette_widths(z_nd[few], label_n[few]))
        all_nk, all_s = timed(lambda: nearest(z_nd, K).index_qk)
        query_q = np.sort(np.random.default_rng(1).choice(len(z_nd), SAMPLE, replace=False))
        sample_qk, sample_s = timed(lambda: nearest(z_nd, K, query_q).index_qk)
    whole, drawn = (be(near, batch_n, 2, np.arange(len(near))) for near in (all_nk, sample_qk))
    lines = [
        f"| {arguments.cells:,} cells, 10 dimensions, one thread | `be`, nats | s (CPU) |",
        "|---|---|---|",
        f"| neighbours of all | {whole:.5f} | {all_s:,.0f} |",
        f"| of {SAMPLE:,} among all | {drawn:.5f} | {sample_s:,.0f} |",
        "",
        f"Silhouettes of {SILHOUETTES:,} cells compare {SILHOUETTES**2 / 2 / widths_s:.2g} pairs a second.",
        f"{date.today()}, {processor()}, load {os.getloadavg()[0]:.1f}.",
    ]
    print("\n".join(lines))
    if arguments.write:
        put(DOCS / "performance.md", "benchmarks.metrics_at_scale", "\n".join(lines))


def cells(n: int) -> tuple[Embedding, Codes, Codes]:
    rng = np.random.default_rng(0)
    label_n, batch_n = rng.integers(12, size=n), (rng.random(n) < 1 / 3).astype(np.int64)
    z_nd = 1.5 * rng.normal(size=(12, 10))[label_n] + rng.normal(size=(n, 10))
    z_nd[:, 0] += 1.5 * batch_n
    return z_nd, batch_n, label_n


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a function returns, and its seconds of CPU."""
    start = time.process_time()
    return work(), time.process_time() - start


if __name__ == "__main__":
    main()
