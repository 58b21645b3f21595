import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bie.metrics.clustering import ari, isolated_labels, kmeans, nmi, uca
from bie.metrics.clustering import asw as of_widths
from bie.metrics.silhouette import widths_of

Codes = NDArray[np.int64]


def asw(z_nd: NDArray[np.float64], label_n: Codes) -> float:
    return of_widths(widths_of(z_nd, label_n, seed=0))


def silhouette_by_loops(z_nd: NDArray[np.float64], label_n: Codes) -> float:
    widths = []
    for i in range(len(z_nd)):
        distance = {
            code: [math.dist(z_nd[i], z_nd[j]) for j in range(len(z_nd)) if label_n[j] == code and j != i]
            for code in set(label_n.tolist())
        }
        own = distance.pop(int(label_n[i]))
        if not own:
            widths.append(0.0)
            continue
        a = sum(own) / len(own)
        b = min(sum(other) / len(other) for other in distance.values())
        widths.append((b - a) / max(a, b))
    return sum(widths) / len(widths)


def contingency_by_loops(label_n: Codes, cluster_n: Codes) -> list[list[int]]:
    pairs = list(zip(label_n.tolist(), cluster_n.tolist(), strict=True))
    return [[pairs.count((a, b)) for b in set(cluster_n.tolist())] for a in set(label_n.tolist())]


def nmi_by_formula(label_n: Codes, cluster_n: Codes) -> float:
    table, n = contingency_by_loops(label_n, cluster_n), len(label_n)
    rows, columns = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
    mutual = sum(
        cell / n * math.log(cell * n / (rows[a] * columns[b]))
        for a, row in enumerate(table)
        for b, cell in enumerate(row)
        if cell
    )
    entropies = [-sum(m / n * math.log(m / n) for m in margin) for margin in (rows, columns)]
    return mutual / math.sqrt(entropies[0] * entropies[1])


def ari_by_pairs(label_n: Codes, cluster_n: Codes) -> float:
    pairs = list(itertools.combinations(range(len(label_n)), 2))
    same_label = [label_n[i] == label_n[j] for i, j in pairs]
    same_cluster = [cluster_n[i] == cluster_n[j] for i, j in pairs]
    both = sum(a and b for a, b in zip(same_label, same_cluster, strict=True))
    expected = sum(same_label) * sum(same_cluster) / len(pairs)
    return float((both - expected) / ((sum(same_label) + sum(same_cluster)) / 2 - expected))


def uca_by_permutations(label_n: Codes, cluster_n: Codes) -> float:
    codes = range(int(max(label_n.max(), cluster_n.max())) + 1)
    return max(float(np.mean(np.array(m)[cluster_n] == label_n)) for m in itertools.permutations(codes))


def partitions(seed: int, n_labels: int, n_clusters: int) -> tuple[Codes, Codes]:
    rng = np.random.default_rng(seed)
    label_n = rng.integers(n_labels, size=60)
    noise = rng.random(60) < 0.4
    return label_n, np.where(noise, rng.integers(n_clusters, size=60), label_n % n_clusters)


@pytest.mark.parametrize("seed", range(3))
def test_asw_equals_explicit_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z_nd, label_n = rng.normal(size=(40, 3)), rng.integers(3, size=40)
    label_n[0] = 3  # the only cell of its label
    assert asw(z_nd, label_n) == pytest.approx(silhouette_by_loops(z_nd, label_n), abs=1e-10)


def test_asw_of_separated_and_of_swapped_types() -> None:
    z_nd = np.array([[0.0], [0.1], [10.0], [10.1]])
    assert asw(z_nd, np.array([0, 0, 1, 1])) > 0.98
    assert asw(z_nd, np.array([0, 1, 0, 1])) < 0


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_partition_scores_equal_their_definitions(seed: int, shape: tuple[int, int]) -> None:
    label_n, cluster_n = partitions(seed, *shape)
    assert nmi(label_n, cluster_n, "geometric") == pytest.approx(
        nmi_by_formula(label_n, cluster_n), abs=1e-10
    )
    assert ari(label_n, cluster_n) == pytest.approx(ari_by_pairs(label_n, cluster_n), abs=1e-10)
    assert uca(label_n, cluster_n) == pytest.approx(uca_by_permutations(label_n, cluster_n), abs=1e-12)


def test_nmi_takes_the_mean_that_is_asked_for() -> None:
    label_n, cluster_n = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])
    expected = {"geometric": math.sqrt(math.log(2) * math.log(4)), "arithmetic": math.log(8) / 2}
    for average, entropy in expected.items():
        assert nmi(label_n, cluster_n, average) == pytest.approx(math.log(2) / entropy)


def test_renamed_clusters_are_perfect() -> None:
    label_n = np.array([0, 0, 1, 1, 2, 2])
    cluster_n = np.array([2, 2, 0, 0, 1, 1])
    assert [
        nmi(label_n, cluster_n, "geometric"),
        ari(label_n, cluster_n),
        uca(label_n, cluster_n),
    ] == pytest.approx([1, 1, 1])


def test_independent_partitions_have_no_agreement_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    label_n, cluster_n = rng.integers(5, size=(2, 20_000))
    assert abs(ari(label_n, cluster_n)) < 0.001
    assert nmi(label_n, cluster_n, "geometric") < 0.001
    assert uca(label_n, cluster_n) == pytest.approx(0.2, abs=0.02)


def test_kmeans_finds_separated_types_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    label_n = np.arange(120) % 4
    z_nd = rng.normal(scale=0.1, size=(120, 2)) + np.array([[0, 0], [3, 0], [0, 3], [3, 3]])[label_n]
    cluster_n = kmeans(z_nd, 4, n_init=10, seed=3)
    assert ari(label_n, cluster_n) == 1.0
    np.testing.assert_array_equal(cluster_n, kmeans(z_nd, 4, n_init=10, seed=3))


def test_isolated_labels_are_those_of_the_fewest_batches() -> None:
    """Of three types one is in one batch alone: its mean scaled width, by explicit loops."""
    rng = np.random.default_rng(0)
    label_n = np.repeat([0, 1, 2], 20)
    batch_n = np.where(label_n == 2, 1, np.arange(60) % 2)
    z_nd = rng.normal(size=(60, 3)) + 1.5 * label_n[:, None]
    widths = widths_of(z_nd, label_n, seed=0)
    expected = []
    for i in np.flatnonzero(label_n == 2):
        mean = {
            code: np.mean([math.dist(z_nd[i], z_nd[j]) for j in range(60) if label_n[j] == code and j != i])
            for code in range(3)
        }
        a, b = mean.pop(2), min(mean.values())
        expected.append(((b - a) / max(a, b) + 1) / 2)
    assert isolated_labels(widths, batch_n, label_n) == pytest.approx(np.mean(expected), abs=1e-9)
    assert isolated_labels.caveats[-1](batch_n, label_n) is None


def test_isolated_labels_are_all_where_none_stands_apart() -> None:
    rng = np.random.default_rng(1)
    z_nd, label_n, batch_n = rng.normal(size=(90, 2)), np.arange(90) % 3, np.arange(90) // 3 % 2
    widths = widths_of(z_nd, label_n, seed=0)
    by_label = [(widths.width_m[label_n == label].mean() + 1) / 2 for label in range(3)]
    assert isolated_labels(widths, batch_n, label_n) == pytest.approx(np.mean(by_label))
    assert "the mean over all types" in (isolated_labels.caveats[-1](batch_n, label_n) or "")


@pytest.mark.parametrize("sizes", [[68, 51, 41, 22, 25], [22, 65, 53, 1, 32], [78, 30, 55, 76, 52]])
def test_perfect_agreement_is_one_and_not_a_rounding_more(sizes: list[int]) -> None:
    label_n = np.repeat(np.arange(5), sizes)
    assert nmi(label_n, (label_n + 2) % 5, "geometric") == 1
