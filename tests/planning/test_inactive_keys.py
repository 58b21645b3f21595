from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.planning.inactive_keys import inactive_keys, without_owner


def test_what_makes_a_key_inactive_is_named(configurations: Configurations):
    (point,) = expand(["model=pca"], configurations).combinations
    assert inactive_keys(point.config, {"train.epochs": 3, "split.train_fraction": 0.5}) == {
        "train.epochs": "model=pca"
    }
    (point,) = expand([], configurations).combinations
    assert inactive_keys(point.config, {"train.kl.gamma": 1}) == {"train.kl.gamma": "train.kl.mode=warmup"}


def test_a_key_that_is_not_there_belongs_to_its_group_or_the_model(configurations: Configurations):
    composed = configurations.composed({"model": "pca", "train": "smoke"})
    assert without_owner("dataset.path", composed) == "dataset=zinb"
    assert without_owner("train.own", composed) == "train=smoke"
    assert without_owner("mine.scale", composed) == "model=pca"
