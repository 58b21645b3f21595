"""What a plan says besides its runs."""

from pathlib import Path

import pytest

from bie.planning.compose import Configurations
from bie.planning.datasets import Datasets
from bie.planning.expand import expand
from bie.planning.outline import outline, unsaved, without_effect
from bie.planning.plan import make_plan
from bie.store.paths import Tree
from bie.store.record import write_record


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
    plan = make_plan(
        expansion.combinations,
        lambda config: {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64},
        Tree(tmp_path),
    )
    assert without_effect(expansion, plan) == said


def test_each_size_and_note_of_one_name_is_said(configurations: Configurations, tmp_path: Path) -> None:
    """A sweep over files, or over sizes: all of them are called alike."""
    typed = ["dataset.n_genes=range(2,12),12", "dataset.n_cells=20", "dataset.seed=0,1", "model=noise"]
    found, cells = expand(typed, configurations), Datasets()
    lines = outline(make_plan(found.combinations, cells.content, Tree(tmp_path)), cells)
    headings = [line for line in lines if line.startswith("zinb")]
    assert headings[:2] == [f"zinb (20 cells x {g} genes, 2 batches)" for g in (2, 3)]
    assert headings[10:] == ["zinb (1 more of other sizes, or with other notes)"]


def test_files_that_finished_runs_did_not_leave_are_named(
    configurations: Configurations, tmp_path: Path
) -> None:
    tree = Tree(tmp_path)

    def said(*save: str) -> list[str]:
        found = expand(["model=scvi,pca", "seed=0,1,2", *save], configurations).combinations
        plan = make_plan(found, lambda config: {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}, tree)
        for index, seed in plan.runs[:4]:
            point = plan.points[index]
            folder = tree.run_dir(point.dataset, point.model, point.config_id, seed)
            write_record(folder, {}, {} if seed else {"embedding.npz": b""})
        return unsaved(
            make_plan(found, lambda config: {"sha256": "0" * 64, "unlabelled_sha256": "1" * 64}, tree)
        )

    assert said() == []
    (embedding,) = said("save.embedding=true")
    assert embedding.startswith("save.embedding=true: 2 runs of these finished without embedding.npz")
    (model,) = said("save.model=true")  # the controls have none
    assert model.startswith("save.model=true: 2 runs of these finished without model.pt")
