import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bie import devices
from bie.analysis.report import FILES, write_report
from bie.analysis.results import results_of
from bie.analysis.study import read_study
from bie.store.paths import Tree

Make = Callable[..., Any]


@pytest.fixture
def filled(disk: Any, point: Make) -> Any:
    draw = random.Random(2).random
    for p in (point(), *(point("scvi_mine", mine__scale=s) for s in (10.0, 0.1))):
        for seed in range(3):
            disk.record(
                p, seed, {"ari": draw(), "nmi": None, "be": draw() * 1e-9}, missing={"test.nmi": "größe"}
            )
    return disk


def report(root: Path, folder: Path) -> dict[str, bytes]:
    write_report(folder, results_of(read_study(Tree(root))))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_records_give_the_same_bytes(filled: Any, tmp_path: Path) -> None:
    first = report(filled.root, tmp_path / "a")
    assert set(first) == set(FILES)
    assert report(filled.root, tmp_path / "b") == first


def test_several_processes_write_what_one_writes(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = report(filled.root, tmp_path / "a")
    monkeypatch.setattr("bie.analysis.report.CSV_ROWS", 0)
    monkeypatch.setattr(devices, "cores", lambda: 2)
    monkeypatch.setattr("bie.analysis.report.as_latex", lambda _: str(os.getpid()))
    found = report(filled.root, tmp_path / "b")
    assert int(found.pop("summary.tex")) == os.getpid() != int(found.pop("paired.tex"))
    assert found == {name: content for name, content in first.items() if not name.endswith(".tex")}


def test_csv_and_parquet_hold_the_same_rows_with_plain_types(filled: Any, tmp_path: Path) -> None:
    report(filled.root, tmp_path / "a")
    csv = pd.read_csv(tmp_path / "a" / "runs.csv", float_precision="round_trip")
    parquet = pd.read_parquet(tmp_path / "a" / "runs.parquet")
    assert len(csv) == 9 * 2 * 3
    pd.testing.assert_frame_equal(csv, parquet.fillna({"reason": float("nan")}))
    assert parquet["seed"].dtype == "int64"
    assert parquet["value"].dtype == parquet["mine.scale"].dtype == "float64"
    records = read_study(Tree(filled.root)).values.to_numpy().ravel()
    assert (parquet["value"].dropna() == records[records == records]).all()  # to the last bit


def test_summary_csv_reads_back(filled: Any, tmp_path: Path) -> None:
    report(filled.root, tmp_path / "a")
    table = pd.read_csv(tmp_path / "a" / "summary.csv")
    assert list(table.columns) == [
        "dataset", "model", "config_id", "mine.scale", "split", "metric",
        "mean", "sd", "n", "n_expected", "complete",
    ]  # fmt: skip
    assert table.loc[table["metric"] == "ari", "complete"].all()
    assert not table.loc[(table["metric"] == "nmi"), "complete"].any()


def test_two_at_once_leave_whole_files_and_nothing_else(filled: Any, tmp_path: Path) -> None:
    alone = report(filled.root, tmp_path / "alone")
    errors: list[BaseException] = []

    def write() -> None:
        try:
            report_again(filled.root, tmp_path / "both")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {path.name: path.read_bytes() for path in (tmp_path / "both").iterdir()} == alone


def report_again(root: Path, folder: Path) -> None:
    write_report(folder, results_of(read_study(Tree(root))))


def test_who_reads_meanwhile_keeps_the_whole_old_file(filled: Any, point: Make, tmp_path: Path) -> None:
    before = report(filled.root, tmp_path / "a")["runs.csv"]
    with (tmp_path / "a" / "runs.csv").open("rb") as reader:
        filled.record(point(), 77, {"ari": 0.5})
        after = report(filled.root, tmp_path / "a")["runs.csv"]
        assert reader.read() == before
    assert len(after) > len(before)


def test_an_interrupted_write_leaves_the_old_file(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = report(filled.root, tmp_path / "a")

    def broken(_: pd.DataFrame, path: Path, **__: Any) -> None:
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr("bie.analysis.report.write_csv", broken)
    with pytest.raises(OSError, match="disk full"):
        report(filled.root, tmp_path / "a")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


def test_every_compared_number_leads_to_its_runs(filled: Any, tmp_path: Path) -> None:
    report(filled.root, tmp_path / "a")
    paired = pd.read_csv(tmp_path / "a" / "paired.csv", float_precision="round_trip")
    pairs = pd.read_parquet(tmp_path / "a" / "pairs.parquet")
    runs = pd.read_parquet(tmp_path / "a" / "runs.parquet").set_index(["run_id", "split", "metric"])["value"]
    for row in paired[paired["n_pairs"] > 0].to_dict("records"):
        used = pairs[(pairs["config_id"] == row["config_id"]) & (pairs["baseline_id"] == row["baseline_id"])]
        ours, theirs = (
            runs[[(run, row["split"], row["metric"]) for run in used[name]]].to_numpy()
            for name in ("run_id", "baseline_run_id")
        )
        assert len(used) == row["n_pairs"]
        assert (ours - theirs).mean() == pytest.approx(row["mean"], abs=1e-12)


def test_paired_md_has_both_readings_of_each_row(filled: Any, tmp_path: Path) -> None:
    text = report(filled.root, tmp_path / "a")["paired.md"].decode()
    assert text.count("\n## zinb, test cells, against scvi\n") == 1
    rows = [line for line in text.splitlines() if line.startswith("| scvi_mine mine.scale=10 | ARI ↑ |")]
    assert len(rows) == 2  # test and train
    assert all("new cells: not shown" in row for row in rows)
    assert "NMI" not in text  # no run has a value
    for_papers = (tmp_path / "a" / "paired.tex").read_text()
    row = r"scvi\_mine mine.scale=10 & ARI $\uparrow$ &"
    assert for_papers.count(row) == 4  # the verdict stands below the numbers, beside the name again
