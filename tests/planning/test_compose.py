from pathlib import Path

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


def test_a_key_of_another_choice_is_found_past_a_broken_file(configurations: Configurations, tmp_path: Path):
    (tmp_path / "hydra/launcher").mkdir(parents=True)
    (tmp_path / "hydra/launcher/broken.yaml").write_text("a: [")
    error = Configurations(configurations.folder, tmp_path).misplaced("hydra.launcher.partition", {})
    assert "a setting of hydra/launcher=submitit_slurm, not of hydra/launcher=local" in str(error)
