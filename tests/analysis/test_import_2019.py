"""Files of the 2019 study as records, written here as that study wrote them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bie.aggregate import main
from bie.status import main as status

SETTINGS = [(10, 3, 1000), (10, 3, 5000)]
COLUMNS = ["asw", "nmi", "ari", "uca", "be"]


def labels(sample: int) -> list[str]:
    parts = ("trainset", "testset")
    plain = [f"sample{sample}_Vae_{part}" for part in parts]
    mine = [
        f"sample{sample}_VaeMine_{part}_Hidden{h}_layers{layers}_MineLossScale{scale}"
        for h, layers, scale in SETTINGS
        for part in parts
    ]
    return [*mine, *plain]


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """Samples 0 to 6 but for the crashed 3; sample 5 lacks a setting, the ARI of a row of sample 1 is nan."""
    folder, random, tables = tmp_path / "old", np.random.default_rng(0), []
    folder.mkdir()
    for sample in (0, 1, 2, 4, 5, 6):
        names = [name for name in labels(sample) if sample != 5 or "Scale5000" not in name]
        table = pd.DataFrame(random.random((len(names), 5)).round(6), columns=COLUMNS)
        table.insert(0, "Label", names)
        if sample == 1:
            table.loc[1, "ari"] = np.nan
        table.to_csv(folder / f"Pbmc_Sample{sample}_ClusterMetric.csv")  # with pandas' numbers of the rows
        tables.append(table)
    return folder, pd.concat(tables).set_index("Label")


def test_means_counts_and_pairs_are_those_of_the_files(
    old: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, values = old
    tree = tmp_path / "out" / "v1" / "old"
    assert main([str(tree), "--import", str(folder)]) == 1  # some samples are missing
    said = capsys.readouterr().out
    assert "pbmc_2019: 3 models x samples 0 to 6: 17 results, 4 absent; 17 records are new" in said
    assert "pbmc_2019, test cells" in said
    assert "4 runs failed: absent 4" in said
    assert "read from files of the 2019 study, not computed here" in said
    assert "of ceiling" not in said  # which that study did not have
    summary = pd.read_csv(tree / "report" / "summary.csv")
    for name, like in (("scvi", "Vae_testset"), ("scvi_mine", "testset_Hidden10_layers3_MineLossScale5000")):
        of_metric = summary.query(f"model == {name!r} and split == 'test' and metric == 'be'")
        row = of_metric[of_metric["mine.scale"].isna() | (of_metric["mine.scale"] == 5000)].iloc[0]
        numbers = values.loc[values.index.str.endswith(like), "be"]
        assert row["mean"] == pytest.approx(numbers.mean(), rel=1e-12)
        assert row["sd"] == pytest.approx(numbers.std(ddof=1), rel=1e-12)
        assert (row["n"], row["n_expected"]) == (len(numbers), 7)
    ari = summary.query("`mine.scale` == 1000 and split == 'test' and metric == 'ari'").iloc[0]
    assert (ari["n"], ari["n_expected"]) == (5, 7)
    pairs = pd.read_csv(tree / "report" / "paired.csv")
    row = pairs.query("`mine.scale` == 5000 and split == 'test' and metric == 'uca'").iloc[0]
    common = [0, 1, 2, 4, 6]
    mine = values.loc[
        [f"sample{i}_VaeMine_testset_Hidden10_layers3_MineLossScale5000" for i in common], "uca"
    ]
    plain = values.loc[[f"sample{i}_Vae_testset" for i in common], "uca"]
    assert row["n_pairs"] == 5
    assert row["mean"] == pytest.approx((mine.to_numpy() - plain.to_numpy()).mean(), rel=1e-9)
    assert row["p"] == pytest.approx(stats.ttest_rel(mine, plain).pvalue, rel=1e-6)


def test_a_record_says_which_file_it_is_from_and_stays(
    old: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, _ = old
    tree = tmp_path / "old_tree"
    main([str(tree), "--import", str(folder)])
    records = sorted(tree.rglob("record.json"))
    record = json.loads(records[0].read_text())
    (source,) = record["provenance"]["imported_from"]
    assert source == str(folder / f"Pbmc_Sample{record['seed']}_ClusterMetric.csv")
    assert record["status"] == "done"
    assert {json.loads(p.read_text())["split_id"] for p in records if p.parent.name == "seed=0000"} == {
        record["split_id"]
    }
    stamps = {path: path.stat().st_mtime_ns for path in records}
    capsys.readouterr()
    main([str(tree), "--import", str(folder)])
    assert "0 records are new" in capsys.readouterr().out
    assert stamps == {path: path.stat().st_mtime_ns for path in records}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "Pbmc_Sample0_ClusterMetric.csv",
            "Label,asw,nmi\nsample0_Vae_testset,1,2\n",
            "lacks the column ari, uca",
        ),
        ("Pbmc_Sample0_ClusterMetric.csv", "", "is empty"),
        (
            "Pbmc_Sample0_ClusterMetric.csv",
            "Label,asw,nmi,ari,uca,be\nsample0_VaeMine_testset_Hidden30_layers3_MineLossScale1e.3,1,1,1,1,1\n",
            "is no label of sample 0",
        ),
        (
            "Pbmc_Sample0_ClusterMetric.csv",
            "Label,asw,nmi,ari,uca,be\nsample1_Vae_testset,1,1,1,1,1\n",
            "line 2: sample1_Vae_testset is no label of sample 0",
        ),
        (
            "Pbmc_Sample0_ClusterMetric.csv",
            "Label,asw,nmi,ari,uca,be\nsample0_Vae_testset,1,1,one,1,1\n",
            "line 2: one is not a number",
        ),
        ("other.csv", "Label\n", "holds no file called <Dataset>_Sample<i>_ClusterMetric.csv"),
    ],
)
def test_other_files_are_refused_before_anything_is_written(
    name: str, text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / name).write_text(text)
    assert main([str(tmp_path / "tree"), "--import", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "tree").exists()


def write(folder: Path, sample: int, ari: float, end: str = "\n") -> Path:
    """A folder with one file of one model."""
    folder.mkdir(exist_ok=True)
    line = f"Label,asw,nmi,ari,uca,be\nsample{sample}_Vae_testset,.1,.2,{ari},.4,.5{end}"
    (folder / f"Pbmc_Sample{sample}_ClusterMetric.csv").write_text(line)
    return folder


def test_several_folders_are_read_and_other_numbers_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    first, second, other = (write(tmp_path / name, i, i / 10) for i, name in enumerate("abc"))
    assert main([str(tree), "--import", str(first), "--import", str(second)]) == 0
    assert "samples 0 to 1: 2 results, 0 absent; 2 records are new" in capsys.readouterr().out
    write(other, 1, 0.9)
    for folders in ([other], [second, other]):
        assert main([str(tree), *(word for folder in folders for word in ("--import", str(folder)))]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "other numbers" in line
        assert str(other) in line
    assert len(list(tree.rglob("record.json"))) == 2


@pytest.mark.parametrize(
    ("end", "sample", "says"),
    [
        ("", 0, "breaks off in its last line"),
        (",.6\n", 0, "line 2: not as many fields as there are columns"),
        ("\nsample0_Vae_trainset,.1,.2\n", 0, "line 3: not as many fields as there are columns"),
        ("\n", 99_999_999, "samples 1 to 99999999"),
    ],
)
def test_half_a_file_and_a_number_that_is_no_sample_are_refused(
    end: str, sample: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(write(tmp_path / "old", 1, 0.3), sample, 0.3, end)
    assert main([str(tmp_path / "tree"), "--import", str(tmp_path / "old")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "tree").exists()


def test_the_study_that_takes_the_records_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--import", str(tmp_path)]) == 2
    assert "name the study that takes the records" in capsys.readouterr().err


def test_status_says_where_imported_records_are_shown(
    old: tuple[Path, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, tree = old[0], tmp_path / "outputs" / "v1" / "old"
    main([str(tree), "--import", str(folder)])
    assert status([str(tree)]) == 2
    assert capsys.readouterr().err.strip().endswith(f"bie aggregate {tree}")
    (tree / "empty" / "runs").mkdir(parents=True)
    assert status([str(tree / "empty")]) == 2
    assert "python -m bie.run" in capsys.readouterr().err
