"""What a plan says besides its runs."""

from pathlib import Path

import pytest

from bie.store.paths import Tree
from bie.sweep.compose import Configurations
from bie.sweep.expand import expand
from bie.sweep.outline import without_effect
from bie.sweep.plan import make_plan


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model=scvi", "mine.scale=100"], ["mine.scale has no effect where model=scvi"]),
        (
            ["model=scvi,scvi_mine,pca", "mine.scale=100"],
            ["mine.scale has no effect where model=scvi, model=pca"],
        ),
        (["model=scvi_mine", "mine.scale=100"], []),
        (["train.kl.gamma=2"], ["train.kl.gamma has no effect where train.kl.mode=warmup"]),
        (
            ["dataset=h5ad", "dataset.path=x", "dataset.batch_key=b", "dataset.preset=mild"],
            ["dataset.preset has no effect where dataset=h5ad"],
        ),
        (["zip(model=[scvi,scvi_mine],mine.scale=[1,2])"], ["mine.scale has no effect where model=scvi"]),
        (["model=scvi,scvi_mine", "mine.scale=1,2"], []),  # among what was dropped
        (["study=mine_2019"], []),  # nobody typed its keys
    ],
)
def test_typed_keys_that_do_not_act_are_named_once(
    typed: list[str], said: list[str], configurations: Configurations, tmp_path: Path
) -> None:
    expansion = expand(typed, configurations)
    plan = make_plan(expansion.combinations, lambda config: "0" * 64, Tree(tmp_path))
    assert without_effect(expansion, plan) == said
