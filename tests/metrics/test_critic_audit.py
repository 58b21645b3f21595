"""A critic is judged by what others find in the same latent vectors."""

import math

import pytest

from bie.data.load import load
from bie.experiment import experiment
from bie.metrics.critic_audit import bound, doubt
from bie.planning.compose import Configurations
from bie.planning.expand import expand

SEEN = {"mi_ross": 0.5, "probe_f1": 0.95, "probe_f1_random": 0.5}


def test_a_bound_is_a_column_of_the_history_or_what_a_classifier_knows() -> None:
    row = {"test_mine": 0.3, "test_cross_entropy": 0.2, "train_mine": math.inf}
    assert bound(row, "test", "mine", 2) == 0.3
    assert bound(row, "test", "cross_entropy", 2) == pytest.approx(math.log(2) - 0.2)
    assert bound(row, "train", "mine", 2) is None
    assert bound(row, "train", "cross_entropy", 2) is None


@pytest.mark.parametrize(
    ("value", "found", "doubted"),
    [
        (0.0, SEEN, True),
        (-0.05, SEEN, True),
        (-0.3, SEEN | {"mi_ross": 0.0}, True),  # whatever there is to see
        (0.4, SEEN, False),  # it sees most of it
        (None, SEEN, False),
        (0.0, SEEN | {"mi_ross": 0.02}, False),  # there is nothing to see: a penalty that works
        (0.0, SEEN | {"mi_ross": None}, False),
        (0.0, SEEN | {"probe_f1": 0.5}, False),  # the others do not agree
        (0.0, SEEN | {"probe_f1": None}, True),
    ],
)
def test_doubt_takes_a_dependence_that_others_find(value, found, doubted: bool) -> None:
    assert (doubt(value, found) is not None) == doubted


def test_the_record_of_the_untrained_critic_of_2019_shows_it(configurations: Configurations, tiny) -> None:
    """And that of a trained critic on the same cells does not."""
    typed = ("model=scvi_mine", "model.batch_covariate=false", "mine.scale=0", "dataset.preset=strong")
    results = {}
    for training in ("none", "adam"):
        config = expand(
            [*tiny, *typed, f"mine.critic_training={training}", "train.epochs=15"], configurations
        ).combinations[0]
        results[training] = experiment(config.config, load(config.config.dataset), lambda row: None)
    test = {training: result.metrics["test"] for training, result in results.items()}
    assert test["none"]["mi_ross"] == pytest.approx(test["adam"]["mi_ross"], abs=0.3)
    none, adam = (test[training]["critic_bound"] or 0.0 for training in ("none", "adam"))
    assert none < 0.05 < 0.2 < adam
    noted = results["none"].notes
    assert "untrained" in (noted.get("critic_bound") or noted["test.critic_bound"])
    assert not [name for name in results["adam"].notes if name.endswith("critic_bound")]


def test_a_model_without_a_critic_says_so(configurations: Configurations, tiny) -> None:
    config = expand([*tiny, "model=scvi"], configurations).combinations[0].config
    result = experiment(config, load(config.dataset), lambda row: None)
    assert result.metrics["test"]["critic_bound"] is None
    assert result.missing["critic_bound"] == "no critic"
