"""The truth against closed forms, the study's table and independent integrals; draws against the truth."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from bie.config import Pairs, RunConfig
from bie.mutual_information.known import CLASSES, draw, of_classes, truth
from bie.planning.compose import Configurations
from bie.planning.expand import expand

THREE = (  # in 1 and in 4 dimensions, nats
    (0.1423, 0.4177),
    (0.1683, 0.4749),
    (0.1915, 0.5165),
    (0.2119, 0.5431),
    (0.2294, 0.5543),
    (0.2440, 0.5485),
    (0.2002, 0.4598),
    (0.2816, 0.6231),
    (0.8979, 0.8979),
    (0.2816, 0.6231),
    (1.0985, 1.0985),
    (0.3944, 0.3944),
    (1.0985, 1.0985),
)
TEN = (0.0, 1.9548, 0.8309, 0.3903, 0.6087, 2.2057, 1.4562)  # in 2 dimensions


@pytest.fixture
def pairs(configurations: Configurations):
    def section(*typed: str) -> Pairs:
        config: RunConfig = (
            expand(
                ["dataset=pairs", "model=neighbours", *(f"dataset.{text}" for text in typed)], configurations
            )
            .combinations[0]
            .config
        )
        assert isinstance(config.dataset, Pairs)
        return config.dataset

    return section


def test_classes_by_quadrature_agree_with_the_table_to_four_digits() -> None:
    for number, known in enumerate(THREE, 1):
        assert [of_classes(CLASSES[f"three_{number}"], d) for d in (1, 4)] == pytest.approx(known, abs=6e-5)
    for number, value in enumerate(TEN):
        assert of_classes(CLASSES[f"ten_{number}"], 2) == pytest.approx(value, abs=6e-5)


def test_one_dimension_agrees_with_another_integral() -> None:
    known = CLASSES["three_4"]
    parts = list(zip(known.share, known.centre, known.sd, strict=True))

    def entropy_term(y: float) -> float:
        density = sum(p * norm.pdf(y, m, s) for p, m, s in parts)
        return float(-density * np.log(density))

    within = sum(p * norm(m, s).entropy() for p, m, s in parts)
    assert of_classes(known, 1) == pytest.approx(quad(entropy_term, -2, 3, limit=200)[0] - within, abs=1e-6)


def test_correlations_have_their_closed_forms(pairs) -> None:
    assert truth(pairs("rho=0.9", "d=20")) == pytest.approx(16.6073, abs=1e-4)
    assert truth(pairs("rho=-0.99", "d=2")) == pytest.approx(3.9170, abs=1e-4)
    assert truth(pairs("kind=gaussian_lognormal", "rho=0.9")) == pytest.approx(0.8304, abs=1e-4)


def test_a_mixture_of_one_component_is_a_pair_of_classes(pairs) -> None:
    """Whose centres lie on the diagonal again, up to a shift."""
    mixture = truth(pairs("kind=bernoulli_mixture", "n_components=1", "mean_difference=2", "d=3"))
    known = CLASSES["three_1"].__class__((0.5, 0.5), (0.0, 2.0), (1.0, 1.0))
    assert mixture == pytest.approx(of_classes(known, 3), abs=1e-3)


@pytest.mark.parametrize("kind", ["gaussian_gaussian", "gaussian_lognormal", "gaussian_categorical"])
def test_draws_have_the_moments_that_the_truth_supposes(pairs, kind: str) -> None:
    settings = pairs(f"kind={kind}", "n_pairs=20000", "rho=0.7", "d=2")
    sample = draw(settings, np.random.default_rng(0))
    if sample.class_n is not None:
        known = CLASSES[settings.case]
        assert np.bincount(sample.class_n) / 20000 == pytest.approx(np.array(known.share), abs=0.015)
        means = [sample.y_nd[sample.class_n == k].mean(axis=0) for k in range(3)]
        assert np.array(means) == pytest.approx(np.repeat(np.array(known.centre)[:, None], 2, 1), abs=0.02)
        return
    z_nd = np.log(sample.x_nd) if kind == "gaussian_lognormal" else sample.x_nd
    correlation = np.corrcoef(z_nd.T, sample.y_nd.T)[: z_nd.shape[1], z_nd.shape[1] :]
    assert correlation == pytest.approx(0.7 * np.eye(2)[: z_nd.shape[1]], abs=0.03)
    assert sample.y_nd.std(axis=0) == pytest.approx(1, abs=0.03)
