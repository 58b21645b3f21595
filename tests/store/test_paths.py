import os
from pathlib import Path

import pytest

from bie.errors import BadInput
from bie.store.paths import Tree, find_tree, studies_beside


def test_layout_of_the_contract():
    folder = Tree(Path("outputs/v1/adhoc")).run_dir("zinb", "scvi_mine", "0123456789abcdef" * 4, 7)
    assert str(folder) == "outputs/v1/adhoc/runs/zinb/scvi_mine/0123456789ab/seed=0007"


def test_the_newest_study_is_the_default(tmp_path: Path):
    for age, name in enumerate(["new", "old"]):
        launches = tmp_path / "v1" / name / "launches"
        launches.mkdir(parents=True)
        os.utime(launches, (1e9 - age, 1e9 - age))
    assert find_tree(None, tmp_path) == Tree(tmp_path / "v1" / "new")


def test_no_study_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(BadInput, match=r"python -m bie\.run"):
        find_tree(None, tmp_path)


def test_a_wrong_tree_names_those_there_are(tmp_path: Path):
    (tmp_path / "v1" / "adhoc" / "launches").mkdir(parents=True)
    (tmp_path / "v1" / "pilot" / "launches").mkdir(parents=True)
    here = f"Studies here: {tmp_path}/v1/adhoc, {tmp_path}/v1/pilot"
    for typed in (tmp_path / "v1" / "adhocc", Path("adhoc"), Path("ADHOC")):
        with pytest.raises(BadInput) as error:
            find_tree(typed, tmp_path)
        assert str(error.value).endswith(f"launches/. Did you mean {tmp_path}/v1/adhoc? {here}")
    with pytest.raises(BadInput, match=r"nor launches/\. Studies here: "):
        find_tree(Path("x"), tmp_path)
    for typed in (tmp_path, Path(f"outputs={tmp_path}")):  # the folder of the studies
        with pytest.raises(BadInput) as error:
            find_tree(typed)
        assert str(error.value).endswith(here)


def test_studies_beside_are_the_tree_itself_then_the_newest(tmp_path: Path):
    for age, name in enumerate(["mine", "newer", "older"]):
        (tmp_path / name / "runs").mkdir(parents=True)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    (tmp_path / ".cells").mkdir()
    found = studies_beside(Tree(tmp_path / "older"))
    assert [tree.root.name for tree in found] == ["older", "mine", "newer"]
    assert studies_beside(Tree(tmp_path / "not yet" / "there")) == []
