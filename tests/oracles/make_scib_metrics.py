"""What scib-metrics, POT and the formula of scvi 0.3.0 compute for fixed embeddings, stored for the tests.

Runs where scib-metrics 0.6.1 and POT are installed (Python 3.12); needs nothing of bie:

    python tests/oracles/make_scib_metrics.py                             # writes scib_metrics.npz
    python tests/oracles/make_scib_metrics.py --check scib_metrics.npz    # computes again and compares

Keys of the file are ``case/what``: the inputs (z, batch, label, before) and a value for each metric.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import ot
import scib_metrics
from scib_metrics.nearest_neighbors import NeighborsResults
from scipy.spatial.distance import cdist

CASES = {"mixed": 0.0, "shifted": 0.8, "apart": 3.0}
TOLERANCE = 2e-5  # scib-metrics computes in single precision


def inputs(shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Latent vectors, batches, types, uncorrected components; one type is in one batch alone."""
    rng = np.random.default_rng(7)
    label = rng.choice(4, 260, p=[0.45, 0.3, 0.15, 0.1])
    batch = np.where(label == 3, 2, rng.choice(3, 260, p=[0.5, 0.3, 0.2]))
    z = 2.0 * rng.normal(size=(4, 5))[label] + rng.normal(size=(260, 5)) + 0.5
    z[:, 0] += shift * batch
    before = rng.normal(size=(260, 8)) + 2.5 * np.eye(3, 8)[batch]
    return z.astype(np.float32), batch, label, before.astype(np.float32)


def with_itself(z: np.ndarray, k: int) -> NeighborsResults:
    """Exact neighbours, a cell first among its own."""
    distance = cdist(z, z)
    index = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return NeighborsResults(indices=index, distances=np.take_along_axis(distance, index, axis=1))


def make(shift: float) -> dict[str, np.ndarray]:
    z, batch, label, before = inputs(shift)
    near = with_itself(z, 90)
    given = {"z": z, "batch": batch, "label": label, "before": before}
    z = z.astype(np.float64)
    found = {
        "silhouette_label": float(scib_metrics.silhouette_label(z, label)),
        "silhouette_batch": float(scib_metrics.silhouette_batch(z, label, batch)),
        "bras": float(scib_metrics.bras(z, label, batch)),
        "isolated_labels": float(scib_metrics.isolated_labels(z, label, batch)),
        "ilisi": float(scib_metrics.ilisi_knn(near, batch)),
        "clisi": float(scib_metrics.clisi_knn(near, label)),
        "graph_connectivity": float(scib_metrics.graph_connectivity(near.subset_neighbors(15), label)),
        "pcr": float(scib_metrics.pcr_comparison(before, z, batch, categorical=True)),
        "kbet_of_types": [kbet(z[label == t], batch[label == t]) for t in range(3)],
        "knn_purity": knn_purity(z, label),
        "transport": transport(z[(label == 0) & (batch == 0)], z[(label == 0) & (batch == 1)]),
    }
    return given | {name: np.array(value) for name, value in found.items()}


def kbet(z: np.ndarray, batch: np.ndarray) -> float:
    """Of the cells of a type, with the number of neighbours that scib_metrics.kbet_per_label takes."""
    sizes = np.bincount(batch)
    k = min(70, max(10, int(np.floor(sizes[sizes > 0].mean() / 4))))
    return float(scib_metrics.kbet(with_itself(z, k + 1), batch)[0])


def knn_purity(z: np.ndarray, label: np.ndarray) -> float:
    """Formula of scvi 0.3.0 for types of more than 30 cells: mean by type of the share of 30 neighbours."""
    large = np.isin(label, np.flatnonzero(np.bincount(label) > 30))
    near = with_itself(z[large], 31).indices[:, 1:]
    own = label[large]
    share = (own[near] == own[:, None]).mean(axis=1)
    return float(np.mean([share[own == t].mean() for t in np.unique(own)]))


def transport(a: np.ndarray, b: np.ndarray) -> float:
    """1-Wasserstein distance by POT's linear program."""
    return float(ot.emd2([], [], ot.dist(a[:30], b[:20], metric="euclidean")))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", type=Path, help="compare with this file instead of writing one")
    check = parser.parse_args().check
    made = {f"{name}/{what}": value for name, shift in CASES.items() for what, value in make(shift).items()}
    if check is None:
        np.savez_compressed(Path(__file__).with_name("scib_metrics.npz"), **made)
        return 0
    with np.load(check) as stored:
        different = [
            f"{name}: {value} now, {stored[name]} stored"
            for name, value in made.items()
            if not np.allclose(value, stored[name], rtol=0, atol=TOLERANCE)
        ]
    print(f"{len(made)} arrays, {len(different)} differ", *different, sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
