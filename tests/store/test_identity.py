import hashlib
import json

import pytest

from bie.config import RunConfig
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import config_id, run_id, scientific, split_id

SHA = "0" * 64


@pytest.fixture
def plain_of(configurations: Configurations):
    def plain(*overrides: str, sha: str = SHA):
        config: RunConfig = expand(overrides, configurations).combinations[0].config
        return scientific(config, sha)

    return plain


def test_config_id_is_the_sha256_of_sorted_json_without_the_seed(plain_of):
    plain = plain_of("seed=3")
    assert plain["seed"] == 3
    text = json.dumps({k: v for k, v in plain.items() if k != "seed"}, sort_keys=True, separators=(",", ":"))
    assert config_id(plain) == hashlib.sha256(text.encode()).hexdigest()


def test_numbers_written_differently_are_the_same_number(plain_of):
    a = plain_of("model=scvi_mine", "mine.scale=1e3")
    b = plain_of("model=scvi_mine", "mine.scale=1000")
    assert config_id(a) == config_id(b)


def test_paths_names_of_studies_and_workers_are_not_part_of_it(plain_of):
    here = plain_of()
    there = plain_of("outputs=elsewhere", "study.name=x", "hydra.launcher.workers=1", "save.model=true")
    assert run_id(here, 0) == run_id(there, 0)
    a = plain_of("dataset=h5ad", "dataset.path=a.h5ad", "dataset.batch_key=batch")
    b = plain_of("dataset=h5ad", "dataset.path=b.h5ad", "dataset.batch_key=sample")
    assert config_id(a) == config_id(b)


def test_content_of_the_data_is(plain_of):
    assert config_id(plain_of()) != config_id(plain_of(sha="1" * 64))


def test_a_preset_is_the_number_it_stands_for(plain_of):
    assert config_id(plain_of("dataset.preset=mild")) == config_id(plain_of("dataset.batch_sd=0.1"))
    assert config_id(plain_of("dataset.preset=mild")) != config_id(plain_of("dataset.preset=strong"))


def test_keys_of_another_mode_do_not_count(plain_of):
    assert config_id(plain_of("train.kl.gamma=1")) == config_id(plain_of("train.kl.gamma=2"))
    capacity = ("train.kl.mode=capacity",)
    assert config_id(plain_of(*capacity, "train.kl.gamma=1")) != config_id(
        plain_of(*capacity, "train.kl.gamma=2")
    )


def test_models_at_one_seed_share_their_split(plain_of):
    a, b = plain_of(), plain_of("model=scvi_mine", "train.lr=0.01")
    assert config_id(a) != config_id(b)
    assert split_id(a, 7) == split_id(b, 7) != split_id(a, 8)
    assert split_id(a, 7) != split_id(plain_of("split.train_fraction=0.5"), 7)


def test_the_seed_separates_runs_of_one_config(plain_of):
    a, b = plain_of("seed=0"), plain_of("seed=1")
    assert config_id(a) == config_id(b)
    assert run_id(a, 0) != run_id(b, 1)
