"""Retrieval by loops, by hand and against the mean over all orders."""

import itertools
import math

import numpy as np
import pytest

from bie.metrics.retrieval import CARDS, expected_average_precision, retrieval


def average_precision(places: tuple[int, ...]) -> float:
    """Of relevant ones at these places, counted from 0."""
    return float(np.mean([(k + 1) / (place + 1) for k, place in enumerate(places)]))


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def test_equals_its_definition_by_loops() -> None:
    rng = np.random.default_rng(0)
    z_sd, class_s = rng.normal(size=(12, 3)) * rng.uniform(0.1, 9, (12, 1)), np.repeat([0, 1, 2], [5, 4, 3])
    precisions, at_r, chances = [], [], []
    for i in range(12):
        others = [j for j in range(12) if j != i]
        others.sort(key=lambda j, i=i: -cosine(z_sd[i].tolist(), z_sd[j].tolist()))  # type: ignore[misc]
        places = tuple(k for k, j in enumerate(others) if class_s[j] == class_s[i])
        precisions.append(average_precision(places))
        at_r.append(sum(place < len(places) for place in places) / len(places))
        chances.append(len(places) / 11)
    found = retrieval(z_sd, class_s)
    assert found["map"] == pytest.approx(np.mean(precisions))
    assert found["precision_at_r"] == pytest.approx(np.mean(at_r))
    assert found["precision_at_r_chance"] == pytest.approx(np.mean(chances))
    by_class = [expected_average_precision(r, 11) for r in (4, 3, 2)]
    assert found["map_chance"] == pytest.approx(np.average(by_class, weights=[5, 4, 3]))


def test_chance_is_the_mean_over_all_orders() -> None:
    for r, n in ((3, 8), (1, 2), (2, 2), (1, 1)):
        every = [average_precision(places) for places in itertools.combinations(range(n), r)]
        assert expected_average_precision(r, n) == pytest.approx(np.mean(every))
    assert expected_average_precision(3, 15) == pytest.approx(0.3325, abs=1e-4)


def test_vectors_that_know_their_class_are_found_and_noise_is_not() -> None:
    class_s = np.repeat(np.arange(4), 4)
    known = np.eye(4)[class_s]
    perfect = retrieval(known, class_s)
    assert perfect["map"] == perfect["precision_at_r"] == 1
    assert perfect["precision_at_r_chance"] == pytest.approx(0.2)
    assert perfect.keys() == CARDS.keys()
    rng = np.random.default_rng(0)
    lost = [retrieval(rng.normal(size=(16, 5)), class_s) for _ in range(20)]
    assert np.mean([found["map"] for found in lost]) == pytest.approx(lost[0]["map_chance"], abs=0.04)
    assert np.mean([found["precision_at_r"] for found in lost]) == pytest.approx(0.2, abs=0.04)
    alike = retrieval(np.zeros((16, 5)), class_s)
    assert [alike["map"], alike["precision_at_r"]] == pytest.approx([0.2, 0.2])  # whatever their order


def test_of_those_that_tie_for_the_last_places_the_mean_counts() -> None:
    east, north, west = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
    found = retrieval(np.array([east, east, north, north, west]), np.array([0, 0, 0, 1, 1]))
    east_finds = (1 + 1 / 2) / 2  # the other east, and of the two norths one
    third_finds = (0 + 2 / 3) / 2  # the stranger in the north, and one of three of which two are relevant
    assert found["precision_at_r"] == pytest.approx((2 * east_finds + third_finds + 0 + 1 / 2) / 5)


def test_a_vector_of_zeros_is_like_no_other() -> None:
    found = retrieval(np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [3.0, 0.0]]), np.array([0, 0, 1, 1]))
    # to the first all are alike; the second has a stranger nearer; the third has both equally far; the fourth
    # has its own farthest
    assert found["precision_at_r"] == pytest.approx((1 / 3 + 0 + 0 + 0) / 4)


def test_all_of_them_are_shares_and_columns_of_the_printed_tables() -> None:
    assert {card.range for card in CARDS.values()} == {(0.0, 1.0)}
    assert all(card.headline for card in CARDS.values())
