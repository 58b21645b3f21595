"""The classifier with few labels: what it sees, how it mixes, that it learns."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bie.config import RunConfig
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods import build_embedder, check
from bie.methods import classifier as module
from bie.methods.classifier import ClassifierSection, consistency_loss, few, mix, ramp
from bie.result import Result
from bie.seeds import Streams

Configure = Callable[..., RunConfig]
TRAININGS = ("plain", "mixup", "ict")
QUICK = ("model=classifier", "model.steps=200", "model.per_type=20")


@pytest.fixture(scope="module")
def results(run: Callable[..., Result]) -> dict[str, Result]:
    return {name: run(*QUICK, f"model.training={name}") for name in TRAININGS}


def of_test(result: Result, metric: str) -> float:
    found = result.metrics["test"][metric]
    assert found is not None
    return found


@pytest.mark.parametrize("training", TRAININGS)
def test_it_tells_the_types_of_new_cells(results: dict[str, Result], training: str) -> None:
    assert of_test(results[training], "type_accuracy") > 0.5  # of five types
    assert of_test(results[training], "type_f1") > 0.5
    assert "type_f1" not in results[training].missing


def test_same_seed_same_numbers_and_each_training_its_own(
    results: dict[str, Result], run: Callable[..., Result]
) -> None:
    assert run(*QUICK, "model.training=ict").metrics == results["ict"].metrics
    assert len({of_test(result, "asw") for result in results.values()}) == 3


def test_consistency_of_weight_zero_is_plain_training(
    results: dict[str, Result], run: Callable[..., Result]
) -> None:
    assert run(*QUICK, "model.training=ict", "model.consistency=0").metrics == results["plain"].metrics


def test_counts_may_be_the_input(run: Callable[..., Result]) -> None:
    assert of_test(run(*QUICK, "model.input=counts"), "type_accuracy") > 0.4


def test_it_sees_so_many_labels_and_no_others(
    configure: Configure, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of cells that are not seen may be anything."""
    config = configure(*QUICK, "model.steps=20")
    rows = np.arange(cells.n_cells)
    assert cells.label is not None
    seen = few(cells.label, rows[:200], 5, Streams(0).numpy("labelled"))
    assert np.bincount(cells.label[seen]).tolist() == [5] * 5
    assert seen.max() < 200
    shuffled = np.random.default_rng(0).permutation(cells.label)
    shuffled[seen] = cells.label[seen]
    monkeypatch.setattr(module, "few", lambda *_: seen)
    predictions = []
    for label in (cells.label, shuffled):
        embedder = build_embedder(config.model, None, config.train)
        relabelled = dataclasses.replace(cells, label=label)
        embedder.fit(relabelled, rows[:200], rows[200:], Streams(0), lambda row: None)
        found = embedder.classify(cells, rows)
        assert found is not None
        predictions.append(found.tolist())
    assert predictions[0] == predictions[1]


def test_a_type_with_fewer_cells_gives_all() -> None:
    label_n = np.array([0, 1, 1, 1, 2, 0])
    assert np.bincount(label_n[few(label_n, np.arange(5), 2, np.random.default_rng(0))]).tolist() == [1, 2, 1]


def test_mixtures_are_between_their_ends() -> None:
    a, b = torch.zeros(3), torch.ones(3)
    assert mix(a, b, 1.0).tolist() == [0] * 3
    assert mix(a, b, 0.25).tolist() == [0.75] * 3


def test_a_classifier_that_is_linear_in_its_probabilities_is_consistent() -> None:
    """A constant prediction is; one that saturates is not."""
    u_nd, draws = torch.linspace(-3, 3, 20)[:, None], np.random.default_rng(0)
    flat, steep = nn.Linear(1, 2), nn.Linear(1, 2)
    with torch.no_grad():
        flat.weight.zero_()
        steep.weight.copy_(torch.tensor([[9.0], [-9.0]]))
    assert consistency_loss(flat, flat, u_nd, 1.0, draws).item() == pytest.approx(0, abs=1e-12)
    assert consistency_loss(steep, steep, u_nd, 1.0, draws).item() > 1e-3


def test_the_ramp_begins_near_zero_and_ends_at_one() -> None:
    assert ramp(0.0, 0.5) == pytest.approx(np.exp(-5))
    assert ramp(0.25, 0.5) == pytest.approx(np.exp(-1.25))
    assert ramp(0.5, 0.5) == ramp(0.9, 0.5) == 1


def test_keys_that_do_not_act_are_no_settings(configure: Configure) -> None:
    found = {name: configure("model=classifier", f"model.training={name}").model for name in TRAININGS}
    assert all(isinstance(model, ClassifierSection) for model in found.values())
    assert {"alpha", "consistency"} <= found["plain"].inactive().keys()
    assert "alpha" not in found["mixup"].inactive()
    assert found["ict"].inactive() == {}


def test_cells_without_labels_end_before_anything_starts(configure: Configure, cells: Cells) -> None:
    model: Any = configure("model=classifier").model
    with pytest.raises(BadInput, match="model=classifier: the cells have no labels"):
        check(model, dataclasses.replace(cells, label=None, labels=()), 240)
