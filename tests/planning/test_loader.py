import copy
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import expand


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


def test_launchers_of_bie_are_not_taken_for_those_of_a_plugin_with_the_same_names(configurations):
    launcher = expand(["hydra/launcher=submitit_slurm"], configurations).settings.hydra.launcher
    assert launcher.kind == "submitit_slurm"
