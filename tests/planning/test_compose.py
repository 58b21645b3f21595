from pathlib import Path

from bie.planning.compose import Configurations


def test_references_stay_until_a_combination_is_finished(configurations: Configurations, tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "long.yaml").write_text("epochs: ${oc.env:NO_SUCH_VARIABLE}\n")
    own = Configurations(configurations.folder, tmp_path)
    assert own.compose({"train": "long"})["train"]["epochs"] == "${oc.env:NO_SUCH_VARIABLE}"
    assert own.composed({"train": "long"}).whole.hydra.runtime.choices["train"] == "long"
    assert own.composed({}).whole.hydra.runtime.choices["model"] == "scvi"
