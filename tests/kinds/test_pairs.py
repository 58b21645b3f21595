"""Experiments on pairs: one sweep, store and table with all others, and estimates near the truth."""

import json
from pathlib import Path

import pytest

from bie.aggregate import main as aggregate
from bie.config import RunConfig
from bie.errors import BadInput
from bie.experiment import Experiment
from bie.kinds import begun, critics
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result
from bie.run import main as run

FEW = ("dataset=pairs", "dataset.n_pairs=1000", "split.train_fraction=0.5")


@pytest.fixture
def found(configurations: Configurations):
    def result(*typed: str) -> Result:
        config: RunConfig = expand([*FEW, *typed], configurations).combinations[0].config
        (work,) = begun([Experiment(config)], lambda: pytest.fail("no cells"))
        return work()

    return result


def test_a_critic_that_sees_dependence_climbs_to_the_truth_from_below(found) -> None:
    result = found("model=critic", "model.epochs=40", "model.lr=2e-3", "dataset.rho=0.7", "model.n_hidden=32")
    test = result.metrics["test"]
    assert test["mi_truth"] == pytest.approx(0.6733, abs=1e-4)
    assert 0.45 < test["mi_estimate"] < 0.75
    assert test["mi_error"] == pytest.approx(abs(test["mi_estimate"] - test["mi_truth"]))
    assert test["mi_cap"] == pytest.approx(6.2146, abs=1e-4)
    assert [row["epoch"] for row in result.history] == list(range(1, 41))


@pytest.mark.parametrize("estimator", ["nwj", "infonce"])
def test_other_bounds(found, estimator: str) -> None:
    typed = ("model=critic", f"model.estimator={estimator}", "model.epochs=15", "model.lr=5e-3")
    result = found(*typed, "dataset.rho=0.9", "dataset.d=1", "model.n_hidden=16", "model.batch_size=32")
    assert 0.3 < result.metrics["test"]["mi_estimate"] < 1.1  # truth .83


def test_a_critic_of_2019_that_adds_is_blind(found) -> None:
    typed = ("model.critic=mine_net2", "model.n_hidden=10", "model.n_layers=2", "model.epochs=10")
    assert found("model=critic", *typed, "dataset.rho=0.9").metrics["test"]["mi_estimate"] < 0.1


def test_neighbours_choose_the_estimator_by_the_kind_of_x(found) -> None:
    assert found("model=neighbours", "dataset.rho=0.7").metrics["test"]["mi_error"] < 0.12
    classes = ("dataset.kind=gaussian_categorical", "dataset.d=4")
    assert found("model=neighbours", *classes).metrics["test"]["mi_error"] < 0.1


def test_scikit_learn_has_a_value_for_one_variable_a_side_alone(found) -> None:
    assert found("model=sklearn", "dataset.d=1").metrics["test"]["mi_error"] < 0.12
    result = found("model=sklearn", "dataset.d=2")
    assert result.metrics["test"]["mi_estimate"] is None
    assert set(result.missing) == {"mi_estimate", "mi_error"}


def test_the_same_configuration_gives_the_same_numbers_and_every_estimator_the_same_pairs(found) -> None:
    typed = ("model=critic", "model.epochs=2", "seed=3")
    first, second = found(*typed), found(*typed)
    assert first.metrics == second.metrics
    assert first.history == second.history
    held = ("seed=5", "split_seed=3", "model=neighbours")
    assert found(*held).metrics == found("seed=3", "model=neighbours").metrics


def test_a_critic_that_diverges_goes_on_at_half_the_rate(found, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.1, float("nan"), 0.2, 0.1, 0.1] + [0.3] * 20)
    monkeypatch.setattr(critics.TrainedCritic, "estimate", lambda self, rows: next(values))
    history = found("model=critic", "model.epochs=3").history
    assert [row["critic_halvings"] for row in history] == [0, 1, 1]


def test_a_truth_beyond_what_so_many_pairs_can_certify_is_said(found) -> None:
    result = found("model=neighbours", "dataset.rho=0.99", "dataset.d=20")
    assert "39.2 nats" in result.notes["mi_estimate"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("dataset=pairs",), "model=scvi takes cells, dataset=pairs holds pairs. Models of pairs: critic, "),
        (("model=critic",), "model=critic takes pairs, dataset=zinb holds cells. Models of cells: scvi, "),
        (("dataset=pairs", "model=critic", "perturb=library_size"), "perturb=library_size acts on cells"),
    ],
)
def test_what_does_not_go_together_is_bad_input(configurations: Configurations, typed, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        expand(typed, configurations)


def test_a_sweep_in_the_tree_and_the_table_of_all_sweeps(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["dataset=pairs", "dataset.n_pairs=60", "model=critic,neighbours", "model.epochs=1"]
    assert run(["-m", *typed, "study.baseline=neighbours", "seed=0,1", "hydra.launcher.workers=0"]) == 0
    paths = sorted(Path().glob("outputs/v1/adhoc/runs/pairs/*/*/seed=*/record.json"))
    records = [json.loads(path.read_text()) for path in paths]
    assert len(records) == 4
    assert len({record["split_id"] for record in records}) == 2
    assert not {"train", "metrics", "perturb"} & records[0]["config"].keys()
    assert aggregate([]) == 0
    table = capsys.readouterr().out
    assert "estimate" in table
    assert "ARI" not in table
