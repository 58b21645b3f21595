import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from bie.config import Metrics
from bie.metrics.probes import Probabilities, _halves, f1_by_batch, probe, probe_auc, probe_f1
from bie.metrics.score import score
from bie.seeds import Streams

Codes = NDArray[np.int64]
Embedding = NDArray[np.float64]
SETTINGS = Metrics.model_validate(
    {"names": "bie", "kmeans": {"n_init": 1, "clusters": "present"}, "be": {"neighbours": 10, "pools": None}}
)
LOGISTIC, NETWORK = slice(0, 4, 2), slice(1, 4, 2)


def f1_by_counts(chosen_n: Codes, batch_n: Codes) -> float:
    scores = []
    for b in sorted(set(batch_n.tolist())):
        pairs = list(zip((chosen_n == b).tolist(), (batch_n == b).tolist(), strict=True))
        hits, false, missed = (pairs.count(pair) for pair in ((True, True), (True, False), (False, True)))
        scores.append(2 * hits / (2 * hits + false + missed))
    return float(sum(scores) / len(scores))


def auc_by_pairs(chance_nb: Embedding, batch_n: Codes) -> float:
    """Share of the pairs (a cell of the batch, a cell of another) in their right order; a tie is half."""
    areas = []
    for b in sorted(set(batch_n.tolist())):
        own, others = chance_nb[batch_n == b, b].tolist(), chance_nb[batch_n != b, b].tolist()
        pairs = list(itertools.product(own, others))
        areas.append(sum((x > y) + 0.5 * (x == y) for x, y in pairs) / len(pairs))
    return float(sum(areas) / len(areas))


def batches(shares: list[float], n: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).choice(len(shares), n, p=shares).astype(np.int64)


def noise(n: int, d: int, seed: int = 0) -> Embedding:
    return np.random.default_rng(seed + 100).normal(size=(n, d))


def judged(z_nd: Embedding, batch_n: Codes, seed: int = 0) -> tuple[Probabilities, Codes]:
    """Fitted on the first half, judging the second."""
    half = len(z_nd) // 2
    fitted = z_nd[:half], batch_n[:half]
    return probe(z_nd[half:], batch_n[half:], int(batch_n.max()) + 1, fitted, seed), batch_n[half:]


@pytest.mark.parametrize("n_batches", [2, 3])
def test_scores_equal_their_definitions(n_batches: int) -> None:
    rng = np.random.default_rng(n_batches)
    batch_n = rng.integers(n_batches, size=60)
    probe_pnb = np.round(rng.dirichlet(np.ones(n_batches), (4, 60)), 1)  # rounded: there are ties
    probe_pnb[1, np.arange(60), batch_n] += 0.3
    f1 = max(f1_by_counts(chance_nb.argmax(1), batch_n) for chance_nb in probe_pnb)
    auc = max(auc_by_pairs(chance_nb, batch_n) for chance_nb in probe_pnb)
    by_trapezoids = [
        np.mean([roc_auc_score(batch_n == b, p_nb[:, b]) for b in range(n_batches)]) for p_nb in probe_pnb
    ]
    assert probe_f1(probe_pnb, batch_n) == pytest.approx(f1, abs=1e-12)
    assert probe_auc(probe_pnb, batch_n) == pytest.approx(auc, abs=1e-12)
    assert probe_auc(probe_pnb, batch_n) == pytest.approx(max(by_trapezoids), abs=1e-12)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.67, 0.33], [0.95, 0.05], [0.6, 0.3, 0.1]])
def test_separated_batches_are_found(shares: list[float]) -> None:
    batch_n = batches(shares, 800)
    probe_pnb, truth_n = judged(noise(800, 4) + 20 * np.eye(3, 4)[batch_n], batch_n)
    assert probe_f1(probe_pnb, truth_n) == probe_auc(probe_pnb, truth_n) == 1.0


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.67, 0.33], [0.95, 0.05], [0.6, 0.3, 0.1]])
@pytest.mark.parametrize("part", ["train", "test"])
def test_independence_gives_the_null(shares: list[float], part: str) -> None:
    n = 1500
    batch_n, z_nd = batches(shares, 2 * n), noise(2 * n, 5)
    fitted = None if part == "train" else (z_nd[:n], batch_n[:n])
    values, missing, *_ = score(z_nd[n:], batch_n[n:], len(shares), None, 0, SETTINGS, Streams(0), fitted)
    assert not {name for name in missing if "probe" in name}
    f1, auc, null = (values[name] for name in ("probe_f1", "probe_auc", "probe_f1_random"))
    assert f1 == pytest.approx(null, abs=0.05)
    assert auc == pytest.approx(0.5, abs=0.1)
    assert null is not None
    assert 0.75 / len(shares) < null < 1.3 / len(shares)


def xor(n: int) -> tuple[Embedding, Codes]:
    batch_n, side_n = batches([0.5, 0.5], n), batches([0.5, 0.5], n, seed=1)
    z_nd = noise(n, 10)
    z_nd[:, 0] += 4 * side_n
    z_nd[:, 1] += 4 * (side_n ^ batch_n)
    return z_nd, batch_n


def rings(n: int) -> tuple[Embedding, Codes]:
    batch_n = batches([0.67, 0.33], n)
    return noise(n, 10) * (1 + batch_n[:, None]), batch_n


@pytest.mark.parametrize("shape", [xor, rings])
def test_what_no_plane_separates_is_found_by_the_network(shape) -> None:
    probe_pnb, truth_n = judged(*shape(1600))
    assert probe_auc(probe_pnb[LOGISTIC], truth_n) < 0.6
    assert probe_auc(probe_pnb[NETWORK], truth_n) > 0.9
    assert probe_f1(probe_pnb[LOGISTIC], truth_n) < 0.6
    assert probe_f1(probe_pnb, truth_n) == probe_f1(probe_pnb[NETWORK], truth_n) > 0.85


def test_a_direction_without_variance_to_speak_of_is_found() -> None:
    """A collapsed dimension may still hold the batch."""
    batch_n = batches([0.5, 0.5], 600)
    z_nd = noise(600, 3)
    z_nd[:, 2] = 1e-4 * batch_n
    assert probe_f1(*judged(z_nd, batch_n)) == 1.0


def test_a_weak_signal_counts_in_a_rare_batch_too() -> None:
    """The most probable batch is nearly always the large one; the second decision shows what is there."""
    batch_n = batches([0.8, 0.2], 4000)
    z_nd = noise(4000, 2)
    z_nd[:, 0] += 0.7 * batch_n
    probe_pnb, truth_n = judged(z_nd, batch_n)
    assert probe_f1(probe_pnb[:2], truth_n) < 0.5
    assert probe_f1(probe_pnb, truth_n) > 0.56


def test_the_optimal_decision_is_reached_but_not_beaten() -> None:
    """Two gaussians at distance 2: Bayes' rule errs in Phi(-1) of the cells, area Phi(sqrt 2)."""
    batch_n = batches([0.5, 0.5], 8000)
    z_nd = noise(8000, 5)
    z_nd[:, 0] += 2 * batch_n
    probe_pnb, truth_n = judged(z_nd, batch_n)
    assert probe_f1(probe_pnb, truth_n) == pytest.approx((1 + math.erf(1 / math.sqrt(2))) / 2, abs=0.015)
    assert probe_auc(probe_pnb, truth_n) == pytest.approx((1 + math.erf(1)) / 2, abs=0.015)


def test_no_cell_is_judged_by_a_probe_that_has_seen_it() -> None:
    """More dimensions than cells: who has seen a cell knows its batch."""
    batch_n = batches([0.5, 0.5], 300)
    probe_pnb = probe(noise(300, 400), batch_n, 2, None, seed=0)
    assert probe_auc(probe_pnb, batch_n) == pytest.approx(0.5, abs=0.1)


def test_halves_share_every_batch() -> None:
    """Two cells of a batch are one in each half: the probes know it in both."""
    batch_n = np.array([0] * 40 + [1] * 2)
    z_nd = noise(42, 3) + 30 * batch_n[:, None]
    assert probe_f1(probe(z_nd, batch_n, 2, None, seed=0), batch_n) == 1.0


def test_halves_of_a_batch_differ_by_a_cell_at_most() -> None:
    batch_n = np.random.default_rng(0).permutation(np.repeat([0, 1, 3, 4], [41, 6, 3, 1]))
    second_n = _halves(batch_n, np.random.default_rng(0))
    first_b, second_b = (np.bincount(batch_n[half], minlength=5) for half in (~second_n, second_n))
    assert (abs(first_b - second_b) == [1, 0, 0, 1, 1]).all()
    assert first_b.sum() == second_b.sum() + 1


def test_same_seed_same_bits() -> None:
    z_nd, batch_n = rings(400)
    one, same, other = (judged(z_nd, batch_n, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(one.sum(axis=2), 1)


def test_cells_of_batches_that_no_probe_has_seen_are_not_judged() -> None:
    batch_n = np.array([0, 1, 2] + [0, 1] * 20)
    z_nd = noise(43, 3) + 20 * np.eye(3)[batch_n]
    halves = score(z_nd, batch_n, 3, None, 0, SETTINGS, Streams(0))
    unseen = score(z_nd, batch_n, 3, None, 0, SETTINGS, Streams(0), (z_nd[3:], batch_n[3:]))
    for found in (halves, unseen):
        assert found.values["probe_f1"] == found.values["probe_auc"] == 1.0
        assert found.f1_by_batch == {0: 1.0, 1: 1.0}
        for name in ("probe_f1", "probe_auc", "probe_f1_random"):
            assert found.notes[name].startswith("1 of 43 cells are not judged")
            assert found.notes[name].endswith("(1 of 3 batches)")
    more = score(z_nd[3:], batch_n[3:], 3, None, 0, SETTINGS, Streams(0), (z_nd, batch_n))
    assert "probe_f1" not in more.notes  # the probes may know more batches than there are to judge
    assert more.values["probe_f1"] == 1.0


def test_f1_of_each_batch_averages_to_the_metric() -> None:
    batch_n = batches([0.6, 0.3, 0.1], 900)
    z_nd = noise(900, 3)
    z_nd[:, 0] += batch_n == 1
    found = score(z_nd, batch_n, 3, None, 0, SETTINGS, Streams(0))
    assert found.values["probe_f1"] == pytest.approx(np.mean(list(found.f1_by_batch.values())))
    assert max(found.f1_by_batch, key=found.f1_by_batch.__getitem__) in (0, 1)


def test_f1_of_each_batch_is_scikit_learns_where_batches_are_absent() -> None:
    rng = np.random.default_rng(0)
    batch_n = rng.choice([1, 4, 5], 80)  # of eight: the others are guessed, and none of them is there
    probe_pnb = rng.dirichlet(np.ones(8), (1, 80))
    present, found_b = f1_by_batch(probe_pnb, batch_n)
    assert present.tolist() == [1, 4, 5]
    assert (
        found_b.tolist() == f1_score(batch_n, probe_pnb[0].argmax(1), labels=present, average=None).tolist()
    )


def test_nothing_to_tell_is_missing() -> None:
    z_nd = noise(40, 3)
    each_alone = score(z_nd, np.arange(40), 40, None, 0, SETTINGS, Streams(0))
    elsewhere = np.arange(40) % 2 + 2
    unseen = score(z_nd, np.arange(40) % 2, 4, None, 0, SETTINGS, Streams(0), (z_nd, elsewhere))
    for found in (each_alone, unseen):
        assert found.missing["probe_f1"] == found.missing["probe_f1_random"]
        assert found.missing["probe_f1"].startswith(
            "fewer than two batches with cells on which probes are fitted"
        )
        assert found.f1_by_batch == {}
