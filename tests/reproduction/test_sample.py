from collections import Counter
from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.reproduction.sample import share, stratified, tree_behind
from bie.store.paths import Tree
from bie.store.record import write_record


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Two grid points with ten runs, one with two."""
    tree = Tree(tmp_path / "v1" / "study")
    for config, n in (("a", 10), ("b", 10), ("c", 2)):
        for seed in range(n):
            write_record(tree.run_dir("zinb", "scvi", config * 64, seed), {}, {})
    return tree


def test_grid_points_take_turns(tree: Tree):
    folders, n_runs = stratified(tree, 8)
    assert n_runs == 22
    assert Counter(folder.parent.name[0] for folder in folders) == {"a": 3, "b": 3, "c": 2}
    assert len(set(folders)) == 8
    assert stratified(tree, 8)[0] == folders
    assert stratified(tree, 8, seed=1)[0] != folders
    assert len(stratified(tree, 100)[0]) == 22


def test_a_table_leads_to_its_study(tree: Tree):
    tree.report.mkdir()
    (tree.report / "summary.md").touch()
    for path in (tree.root, tree.report, tree.report / "summary.md"):
        assert tree_behind(path).root == tree.root
    with pytest.raises(BadInput, match="is not a study"):
        tree_behind(tree.root.parent / "nowhere")


def test_a_study_without_records(tmp_path: Path):
    with pytest.raises(BadInput, match="no run of this study is done"):
        stratified(Tree(tmp_path), 3)


def test_the_share_has_an_interval():
    # Wilson's interval of 10 in 10 begins at n / (n + z^2) = 10 / 13.84
    assert share(10, 10) == "10 of 10 held: share 1.00, 95 % interval .72 to 1.00"
