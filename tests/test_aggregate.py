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
    assert lines[2].split() == ["scvi", "3/3", ".60±.10"]  # of .5, .6, .7
    assert lines[-1] == f"Written: {root}/report/runs.{{parquet,csv}}, {root}/report/summary.{{csv,md,tex}}"
    written = {path.name for path in (root / "report").iterdir() if path.name[0] != "."}
    assert written == {"runs.parquet", "runs.csv", "summary.csv", "summary.md", "summary.tex"}
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
    def write(*_: object) -> None:
        raise said

    root = study(tmp_path)
    monkeypatch.setattr("bie.analysis.report.write_report", write)
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
