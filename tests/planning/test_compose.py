import copy
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bie.errors import BadInput
from bie.planning.compose import Configurations


def test_references_stay_until_a_combination_is_finished(configurations: Configurations, tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "long.yaml").write_text("epochs: ${oc.env:NO_SUCH_VARIABLE}\n")
    own = Configurations(configurations.folder, tmp_path)
    assert own.composed({"train": "long"}).plain["train"]["epochs"] == "${oc.env:NO_SUCH_VARIABLE}"
    assert own.composed({"train": "long"}).whole.hydra.runtime.choices["train"] == "long"
    assert own.composed({}).whole.hydra.runtime.choices["model"] == "scvi"


def test_what_was_composed_before_changes_nothing(configurations: Configurations):
    after = Configurations(configurations.folder)
    for choices in ({"study": "controls"}, {"train": "smoke", "model": "pca"}, {}):
        alone = Configurations(configurations.folder).composed(choices)
        assert after.composed(choices).whole == alone.whole


def test_another_search_path_reads_anew(configurations: Configurations, tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "smoke.yaml").write_text("# @package train\nepochs: 77\n")
    loader = configurations.loader
    elsewhere = copy.deepcopy(loader.repository)
    path = copy.deepcopy(loader.config_search_path)
    path.prepend("own", f"file://{tmp_path}")
    elsewhere.initialize_sources(path)
    there, here = (repository.load_config("train/smoke") for repository in (elsewhere, loader.repository))
    assert there
    assert here
    assert OmegaConf.select(there.config, "epochs") == 77
    assert OmegaConf.select(here.config, "epochs") != 77


def test_numbers_that_yaml_takes_for_others_are_found_wherever_a_site_is_read(
    configurations: Configurations, tmp_path: Path
):
    own, conf = tmp_path / "own/site", tmp_path / "conf"
    own.mkdir(parents=True)
    (own / "clock.yaml").write_text("defaults: [none, _self_]\ntimeout_min: 2:00:00\n")
    (own / "child.yaml").write_text("defaults: [clock, _self_]\nname: child\n")
    shutil.copytree(configurations.folder, conf)
    shutil.copy(own / "clock.yaml", conf / "site")
    searched = (f"hydra.searchpath=[file://{tmp_path / 'own'}]",)
    for where, site in (
        (Configurations(configurations.folder, tmp_path / "own"), "child"),  # it extends the other
        (Configurations(configurations.folder, searched=searched), "clock"),
        (Configurations(conf), "clock"),
    ):
        with pytest.raises(BadInput, match=r"clock\.yaml: timeout_min: 2:00:00 is 7200 to YAML"):
            where.composed({"site": site})
        assert "site.timeout_min" in where.keys  # which asks for none of them


def test_a_key_of_another_choice_is_found_past_a_broken_file(configurations: Configurations, tmp_path: Path):
    (tmp_path / "hydra/launcher").mkdir(parents=True)
    (tmp_path / "hydra/launcher/broken.yaml").write_text("a: [")
    error = Configurations(configurations.folder, tmp_path).misplaced("hydra.launcher.partition", {})
    assert "a setting of hydra/launcher=submitit_slurm, not of hydra/launcher=local" in str(error)
