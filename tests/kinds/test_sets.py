"""Sets of points: what classes differ in, what a network sees and learns."""

import math

import numpy as np
import pytest
import torch

from bie.config import RunConfig
from bie.config.sets import Sets
from bie.experiment import Experiment
from bie.kinds import begun
from bie.kinds.point_sets import HELD_OUT, N_CLASSES, PointSets, draw, transformed
from bie.kinds.set_network import SetNetwork, TrainedSets, supervised_contrastive_loss
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.seeds import Streams


@pytest.fixture
def configure(configurations: Configurations):
    def make(*typed: str) -> RunConfig:
        return expand(["dataset=sets", "model=deep_sets", *typed], configurations).combinations[0].config

    return make


def carried_out(config):
    (work,) = begun([Experiment(config)], lambda: pytest.fail("there are no cells"))
    return work()


@pytest.fixture
def sets(configure):
    def make(*typed: str) -> PointSets:
        settings = configure(*typed).dataset
        assert isinstance(settings, Sets)
        return draw(settings, np.random.default_rng(0))

    return make


def of_class(found: PointSets, i: int):
    return found.x_smd[found.class_s == i].reshape(-1, 2)


def test_classes_differ_in_the_direction_of_one_ellipse(sets) -> None:
    found = sets("dataset.n_points=20000")
    assert np.bincount(found.class_s).tolist() == [4] * N_CLASSES
    for i in range(N_CLASSES):
        x_nd, t = of_class(found, i), math.pi * i / N_CLASSES
        turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
        a = turn @ [[1, 0.5], [0.5, 1]] @ turn.T
        assert x_nd.mean(axis=0) == pytest.approx([0, 0], abs=0.03)
        assert np.cov(x_nd.T) == pytest.approx(a @ a, abs=0.05)
        assert np.sqrt(np.linalg.eigvalsh(np.cov(x_nd.T))) == pytest.approx([0.5, 1.5], rel=0.02)


def test_classes_of_one_covariance_are_skewed_in_another_direction(sets) -> None:
    found = sets("dataset.differ=shape", "dataset.n_points=20000")
    for i in range(N_CLASSES):
        x_nd, t = of_class(found, i), math.pi * i / N_CLASSES
        assert np.cov(x_nd.T) == pytest.approx(np.eye(2), abs=0.05)
        along, across = x_nd @ [math.cos(t), math.sin(t)], x_nd @ [-math.sin(t), math.cos(t)]
        assert (along**3).mean() == pytest.approx(2, abs=0.3)  # of an exponential
        assert (across**3).mean() == pytest.approx(0, abs=0.1)


def test_transforms_take_out_what_they_say() -> None:
    x_nd = np.random.default_rng(0).normal(size=(500, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + 3
    standard = transformed(x_nd, "standardise", 0)
    assert standard.std(axis=0) == pytest.approx([1, 1])
    assert abs(np.asarray(np.corrcoef(standard.T))[0, 1]) > 0.5
    assert np.cov(transformed(x_nd, "sphere", 0).T) == pytest.approx(np.eye(2))
    values = np.linalg.eigvalsh(np.cov(x_nd.T))
    left = np.linalg.eigvalsh(np.cov(transformed(x_nd, "sphere", 0.3).T))
    assert left == pytest.approx(values / (values + 0.3))
    assert transformed(x_nd, "none", 0) is x_nd


def test_standardised_ellipses_that_mirror_each_other_are_one(sets) -> None:
    found = sets("dataset.transform=standardise", "dataset.n_points=4000")
    correlation_i = [np.corrcoef(of_class(found, i).T)[0, 1] for i in range(N_CLASSES)]
    assert correlation_i[1:5] == pytest.approx(correlation_i[:5:-1], abs=0.02)
    assert np.ptp(correlation_i[1:6]) > 1.4


def test_the_order_of_the_points_does_not_matter(configure) -> None:
    network = SetNetwork(configure().model, 2, torch.Generator().manual_seed(0))
    x_smd = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(network(x_smd), network(x_smd[:, torch.randperm(50)]), atol=1e-4)


def test_contrastive_loss_is_that_of_the_paper_by_loops() -> None:
    rng = np.random.default_rng(0)
    z_sd, class_s, t = rng.normal(size=(7, 3)), np.array([0, 0, 0, 1, 1, 2, 3]), 0.1
    unit = z_sd / np.linalg.norm(z_sd, axis=1, keepdims=True)
    terms = []
    for i in range(7):
        others = [a for a in range(7) if a != i]
        positive = [p for p in others if class_s[p] == class_s[i]]
        total = sum(math.exp(unit[i] @ unit[a] / t) for a in others)
        if positive:
            terms.append(-np.mean([math.log(math.exp(unit[i] @ unit[p] / t) / total) for p in positive]))
    found = supervised_contrastive_loss(torch.from_numpy(z_sd), torch.from_numpy(class_s), t)
    assert found.item() == pytest.approx(np.mean(terms))
    assert supervised_contrastive_loss(torch.randn(2, 3), torch.arange(2), t).item() == 0


def test_a_network_learns_covariance_where_the_mean_is_blind(configure) -> None:
    config = configure("model.epochs=40", "model.lr=1e-3")
    trained = carried_out(config)
    assert [row["epoch"] for row in trained.history] == list(range(1, 41))
    mean = carried_out(configure("model=set_mean"))
    assert mean.history == []
    assert trained.metrics["test"]["map"] > mean.metrics["test"]["map"] + 0.2


def test_same_seed_same_result_and_all_models_on_the_same_sets(configure) -> None:
    short = ("model.epochs=2", "dataset.n_points=50")
    first, again = (carried_out(configure(*short)) for _ in range(2))
    assert first.metrics == again.metrics
    mean = [carried_out(configure("model=set_mean", f"init_seed={s}")) for s in (0, 1)]
    assert mean[0].metrics == mean[1].metrics


def test_sets_in_file_order_hold_two_classes_at_a_time(configure) -> None:
    settings = configure("model.shuffle=false").model
    parts = TrainedSets(settings, Streams(0))._minibatches(24)
    assert [part.tolist() for part in parts] == [list(range(i, i + 6)) for i in (0, 6, 12, 18)]
    assert len(HELD_OUT) == 4
