import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bie.aggregate import main
from bie.analysis.report import FILES

SEEDS = (0, 1, 2)


def study(outputs: Path, name: str = "adhoc", done: int = len(SEEDS)) -> Path:
    """A launch of three seeds of scVI, the first `done` of which have a record."""
    root, config = outputs / "v1" / name, {"dataset": {"name": "zinb"}, "model": {"name": "scvi"}}
    plan: list[dict[str, Any]] = [
        {"dataset": "zinb", "model": "scvi", "config_id": "c" * 64, "seed": seed, "run_id": f"{seed:064x}"}
        for seed in SEEDS
    ]
    launch = root / "launches" / "20250101-000000-0000"
    launch.mkdir(parents=True)
    pd.DataFrame(plan).assign(grid="{}", config=json.dumps(config)).to_parquet(launch / "plan.parquet")
    for row in plan[:done]:
        record = {
            **row,
            "split_id": "s",
            "config": config,
            "metrics": {split: {"ari": 0.5 + row["seed"] / 10} for split in ("train", "test")},
            "missing": {},
            "provenance": {"git_commit": "a" * 40, "packages": {}},
        }
        folder = root / "runs" / "zinb" / "scvi" / ("c" * 12) / f"seed={row['seed']:04d}"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record))
    return root


def test_a_complete_study_prints_its_table_and_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path)
    assert main([str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["scvi", "3/3", ".60±.10"]  # of .5, .6, .7
    files = ("runs.{parquet,csv}", "{summary,paired}.{csv,md,tex}")
    assert lines[-1] == "Written: " + ", ".join(f"{root}/report/{name}" for name in files)
    written = {path.name for path in (root / "report").iterdir() if path.name[0] != "."}
    assert written == set(FILES)
    assert ".60±.10" in (root / "report" / "summary.md").read_text()


def test_missing_runs_exit_1_with_the_table_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path, done=2)
    assert main([str(root)]) == 1
    out = capsys.readouterr().out
    assert "2/3" in out
    assert "1 run missing" in out
    summary = pd.read_csv(root / "report" / "summary.csv")
    assert summary[["n", "n_expected", "complete"]].drop_duplicates().values.tolist() == [[2, 3, False]]


def test_the_newest_study_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = study(tmp_path / "outputs", "old"), study(tmp_path / "outputs", "new")
    os.utime(old / "launches", (1, 1))
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert (new / "report").is_dir()
    assert not (old / "report").exists()
    assert main(["--outputs", str(tmp_path / "outputs")]) == 0
    assert str(new) in capsys.readouterr().out


@pytest.mark.parametrize("tree", ["nowhere", "."])
def test_no_such_study_exits_2(tree: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / tree)]) == 2
    assert "not a study" in capsys.readouterr().err


def test_no_study_at_all_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--outputs", str(tmp_path)]) == 2
    assert "bie.run" in capsys.readouterr().err


def test_no_run_done_yet_exits_1_with_the_remedy_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path, done=0)
    assert main([str(root)]) == 1
    said = capsys.readouterr().err
    assert (
        f"no run is done yet (3 missing). How it stands: bie status {root}. Again: bie retry {root}" in said
    )
    assert not (root / "report").exists()
    folder = root / "runs" / "zinb" / "scvi" / ("c" * 12) / "seed=0000"
    folder.mkdir(parents=True)
    (folder / "failed.json").write_text(json.dumps({"cause": "nan"}))
    assert main([str(root)]) == 1
    said = capsys.readouterr().err
    assert f"(2 missing, 1 failed). Why: bie logs {root} --failed. Again: bie retry {root}" in said


def test_a_study_that_nobody_ran_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").mkdir()
    assert main([str(tmp_path)]) == 2
    assert "bie.run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said", [OSError(errno.EROFS, "Read-only file system"), OSError(errno.ENOSPC, "full")]
)
def test_a_report_that_cannot_be_written_is_printed_at_least(
    said: OSError, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(*_: object) -> None:
        raise said

    root = study(tmp_path)
    monkeypatch.setattr("bie.analysis.report._replace", replace)
    assert main([str(root)]) == 2
    out, err = capsys.readouterr()
    assert ".60±.10" in out
    assert "Written" not in out
    assert err.startswith(f"{root / 'report'} can")
    assert "outputs=DIR" in err


def test_an_unknown_option_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--tree", "x"])
    assert stopped.value.code == 2


def test_help_is_quick_and_no_table_needs_torch(tmp_path: Path) -> None:
    root = study(tmp_path)

    def loaded(*argv: str) -> Any:
        code = f"import sys, bie.aggregate as a\ntry: a.main({list(argv)!r})\nexcept SystemExit: pass\n"
        code += "print(sorted({'torch', 'pandas', 'sklearn', 'anndata'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert loaded("--help") == "[]"
    assert loaded(str(root)) == "['pandas']"


def test_check_tells_whether_the_tables_are_those_of_the_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path)
    assert main([str(root), "--check"]) == 1
    assert "no tables yet" in capsys.readouterr().err
    assert not (root / "report").exists()
    main([str(root)])
    assert main([str(root), "--check"]) == 0
    assert main([os.path.relpath(root), "--check"]) == 0
    record = next(root.rglob("record.json"))
    record.write_text(record.read_text().replace("0.5", "0.4"))
    capsys.readouterr()
    assert main([str(root), "--check"]) == 1
    assert f"bie aggregate {root}" in capsys.readouterr().err
    main([str(root)])
    assert main([str(root), "--check"]) == 0
    (root / "report" / "paired.md").write_text("another")
    assert main([str(root), "--check"]) == 1
    assert "another hand: paired.md" in capsys.readouterr().err


def test_what_is_printed_can_be_chosen_and_the_files_hold_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path)
    main([str(root)])
    before = (root / "report" / "summary.md").read_bytes()
    capsys.readouterr()
    assert main([str(root), "--split", "train,test", "--metrics", "ari", "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert out.index("## zinb, train cells") < out.index("## zinb, test cells")
    assert main([str(root), "--format", "latex"]) == 0
    assert r"\toprule" in capsys.readouterr().out
    assert (root / "report" / "summary.md").read_bytes() == before


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--metrics", "arii"], "--metrics arii: there is none. Did you mean ari?"),
        (["--split", "all"], "--split all: there is none. There are: test, train"),
        (["--by", "modle"], "--by or --where: modle: there is none. Did you mean model?"),
        (["--by", "a/b/c/d"], "at most three parts"),
        (["--where", "model"], "not KEY=VALUE"),
        (["--where", "model=pca"], "model: scvi"),
        (
            ["--where", "model=pca", "--where", "model=scvi"],
            "model is named twice; several",
        ),
        (["--by", "model/model"], "--by model/model: model is named twice"),
        (["--by", "seed"], "--by or --where: seed: there is none. There are: dataset, model, config_id"),
        (["--rescale"], "--rescale: no table of these rows has two controls"),
        (["--metrics", "ilisi"], "--metrics ilisi: no run of the study has a value of these"),
        (["--metrics", "scib"], ",scib_total: no run of the study has a value of these"),
        (["--metrics", "headline,arii"], "--metrics arii: there is none."),
        (["study.baseline=pca"], "study.baseline=pca: no row of this study is that. Rows: scvi"),
        (["study.margins.ari=x"], "study.margins.ari=x: must be a number >= 0"),
        (["study.margins.arii=1"], "Did you mean ari?"),
        (["study.name=x"], "study.name is not a setting of the tables"),
        (["elsewhere"], "one study at a time"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    typed: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = study(tmp_path)
    assert main([str(root), *typed]) == 2
    assert says in capsys.readouterr().err
    assert not (root / "report" / "summary.md").exists()


def test_other_margins_are_another_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = study(tmp_path)
    for path in [*root.rglob("*.json"), *root.rglob("*.parquet")]:
        os.utime(path, (1e9, 1e9))
    main([str(root)])
    first = (root / "report" / "paired.csv").stat().st_ino
    main([str(root)])
    assert (root / "report" / "paired.csv").stat().st_ino == first  # recalled
    main([str(root), "study.margins.ari=0.5"])
    assert (root / "report" / "paired.csv").stat().st_ino != first
    assert main([str(root), "--check"]) == 0


def test_a_terminal_without_unicode_gets_words(tmp_path: Path) -> None:
    root = study(tmp_path)
    command = [sys.executable, "-m", "bie.aggregate", str(root)]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True
    )
    assert b".60+-.10" in done.stdout
    assert "▲".encode() not in done.stdout
