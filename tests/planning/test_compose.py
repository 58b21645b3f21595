import copy
from pathlib import Path

from omegaconf import OmegaConf

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
