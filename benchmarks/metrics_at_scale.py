"""Metrics of many cells: batch entropy by approximate neighbours and by exact ones; silhouettes.

    python -m benchmarks.metrics_at_scale [--cells 200000] [--write]

Latent vectors of 10 dimensions: 12 types, two batches of one and two thirds that are half apart. Neighbours
are searched for all cells approximately, and exactly for some of them, whose entropies are compared.
``--write`` puts the table into docs/performance.md.
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
from bie.metrics import neighbours
from bie.metrics.metric import Codes, Embedding
from bie.metrics.mixing import be
from bie.metrics.silhouette import silhouette_widths

T = TypeVar("T")
K, COMPARED, SILHOUETTES = 50, 10_000, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    z_nd, batch_n, label_n = cells(arguments.cells)
    with threadpool_limits(1):
        few = slice(SILHOUETTES)
        _, widths_s = timed(lambda: silhouette_widths(z_nd[few], label_n[few]))
        exact_nk, exact_s = timed(lambda: exactly(z_nd))
        found_nk, found_s = timed(lambda: neighbours.nearest(z_nd, K, seed=0, most_exact=0).index_nk)
    some = np.arange(COMPARED)
    exact, found = (be(near_nk, batch_n, 2, some) for near_nk in (exact_nk, found_nk))
    whole = be(found_nk, batch_n, 2, np.arange(len(z_nd)))
    all_s = exact_s * arguments.cells / COMPARED
    lines = [
        f"| {arguments.cells:,} cells, 10 dimensions, one thread | `be` of {COMPARED:,}, nats | s (CPU) |",
        "|---|---|---|",
        f"| compared with all cells | {exact:.5f} | {all_s:,.0f} for all |",
        f"| approximate search (pynndescent) | {found:.5f} | {found_s:,.0f} |",
        "",
        f"Of all cells the approximate search gives {whole:.5f}.",
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


def exactly(z_nd: Embedding) -> Codes:
    """Neighbours of the first cells among all, the cells themselves left out."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=K + 1, algorithm="brute").fit(z_nd)
    found: Codes = search.kneighbors(z_nd[:COMPARED], return_distance=False)[:, 1:]
    return found


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a function returns, and its seconds of CPU."""
    start = time.process_time()
    return work(), time.process_time() - start


if __name__ == "__main__":
    main()
