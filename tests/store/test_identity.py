import hashlib
import json
import math

import pytest

from bie.config import RunConfig
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.store.identity import SHOWN, canonical, config_id, run_id, scientific, sha256, split_id

HASHES = {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}


@pytest.fixture
def plain_of(configurations: Configurations):
    def plain(*overrides: str, **hashes: str):
        config: RunConfig = expand(overrides, configurations).combinations[0].config
        return scientific(config, HASHES | hashes)

    return plain


def test_config_id_is_the_sha256_of_sorted_json_without_the_seed(plain_of):
    plain = plain_of("seed=3")
    assert plain["seed"] == 3
    assert plain["dataset"].pop("name") == "zinb"
    text = json.dumps({k: v for k, v in plain.items() if k != "seed"}, sort_keys=True, separators=(",", ":"))
    assert config_id(plain) == hashlib.sha256(text.encode()).hexdigest()


def test_letters_of_any_language_are_themselves_and_what_is_no_number_has_no_identity():
    assert canonical({"name": "µ"}) == '{"name":"µ"}'
    with pytest.raises(ValueError):
        canonical(math.nan)
    assert SHOWN == 12  # folders are named so


def test_numbers_written_differently_are_the_same_number(plain_of):
    a = plain_of("model=scvi_mine", "mine.scale=1e3")
    b = plain_of("model=scvi_mine", "mine.scale=1000")
    assert config_id(a) == config_id(b)


def test_paths_names_of_studies_and_workers_are_not_part_of_it(plain_of):
    here = plain_of()
    there = plain_of("outputs=elsewhere", "study.name=x", "hydra.launcher.workers=1", "save.model=true")
    looked = plain_of("train.evaluate_every=7")  # how often test cells are looked at
    assert run_id(here, 0) == run_id(looked, 0)
    assert run_id(here, 0) == run_id(there, 0)
    a = plain_of("dataset=h5ad", "dataset.path=a.h5ad", "dataset.batch_key=batch")
    b = plain_of("dataset=h5ad", "dataset.path=b.h5ad", "dataset.batch_key=sample")
    assert config_id(a) == config_id(b)


def test_content_of_the_data_is(plain_of):
    assert config_id(plain_of()) != config_id(plain_of(sha256="2" * 64))
    assert run_id(plain_of(), 0) != run_id(plain_of(sha256="2" * 64), 0)


def test_its_name_is_not(plain_of):
    a, b = plain_of(), plain_of("dataset.name=renamed")
    assert b["dataset"]["name"] == "renamed"
    assert (config_id(a), run_id(a, 0), split_id(a, 0)) == (config_id(b), run_id(b, 0), split_id(b, 0))


def test_labels_are_in_all_but_the_split(plain_of):
    a, b = plain_of(), plain_of(sha256="2" * 64)
    assert config_id(a) != config_id(b)
    assert split_id(a, 0) == split_id(b, 0) != split_id(plain_of(unlabelled_sha256="2" * 64), 0)


def test_the_split_follows_the_seed_that_drives_it(plain_of):
    plain, held = plain_of(), plain_of("split_seed=3")
    assert split_id(held, 0) == split_id(held, 1) == split_id(plain, 3) != split_id(plain, 0)
    assert config_id(held) != config_id(plain) == config_id(plain_of("split_seed=null"))
    assert run_id(held, 0) != run_id(held, 1)
    other = plain_of("init_seed=3", "order_seed=3", "noise_seed=3", "cluster_seed=3")
    assert split_id(other, 0) == split_id(plain, 0)


def test_what_perturbs_the_cells_is_in_the_split(plain_of):
    thinned = [plain_of() | {"perturb": {"fraction": fraction}} for fraction in (0.5, 0.9)]
    assert len({split_id(plain, 0) for plain in (plain_of(), *thinned)}) == 3


def test_a_launch_of_when_a_dataset_had_one_hash_keeps_its_identities(plain_of):
    plain = plain_of("seed=3")
    del plain["dataset"]["unlabelled_sha256"]
    seedless = {key: value for key, value in plain.items() if key != "seed"}
    assert config_id(plain) == sha256(seedless)
    assert run_id(plain, 3) == sha256(plain)
    assert split_id(plain, 3) == sha256({"dataset": "0" * 64, "split": plain["split"], "seed": 3})


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


def test_cells_that_nothing_is_done_to_keep_the_identity_that_they_had_without_the_section(plain_of):
    plain = plain_of("perturb=none")
    assert "perturb" not in plain
    ids = (config_id(plain), run_id(plain, 0), split_id(plain, 0))
    assert [name[:12] for name in ids] == ["d376ae82fd83", "4921ebf6924c", "2ccc53c542a8"]
    assert config_id(plain_of("model=pca"))[:12] == "8f0c50fdd28e"
    assert split_id(plain_of("perturb=library_size"), 0) != split_id(plain, 0)
