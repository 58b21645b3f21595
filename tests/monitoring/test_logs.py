"""``bie logs``: one run, and all failures by cause."""

import json
from pathlib import Path
from typing import Any

import pytest

from bie.logs import main
from bie.store.launches import stop

Printed = pytest.CaptureFixture[str]


def test_failures_that_differ_in_numbers_alone_are_one_cause(
    disk: Any, point: Any, slurm: Any, capsys: Printed
):
    disk.on_slurm([(point, seed, seed) for seed in range(9)], (1, 0, 6), (21, 6, 2), (1, 8, 1))
    for seed in range(3):
        disk.failure(point, seed, "nan", f"critic overflow at epoch {seed}, loss 1.{seed}e+30")
    for seed in (3, 4):
        disk.failure(point, seed, "error", f"FileNotFoundError: /scratch/u{seed}/cells.npy (seed={seed})")
    assert main(["--failed", str(disk.root)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "7 failures = 3 causes"
    assert "nan  3 runs: critic overflow at epoch 0, loss 1.0e+30" in out
    assert "zinb scvi_mine: 3, seeds 0, 1, 2" in out
    assert f"bie logs {disk.root}/runs/zinb/scvi_mine/{point.id[:12]}/seed=0000" in out
    assert "timeout  2 runs: task 21_0 ended (TIMEOUT)" in out
    assert "2 more runs are missing" in out
    assert f"bie retry {disk.root} --cause nan,error,timeout,missing" in out


def test_a_canary_that_failed_is_why_runs_are_missing(disk: Any, point: Any, capsys: Printed):
    folder = disk.launch([(point, 0, 0), (point, 1, 0)], {})
    stop(folder, "the canary failed, nan: x")
    canary = folder / "canary" / point.id[:12] / "seed=0000"
    canary.mkdir(parents=True)
    (canary / "failed.json").write_text(json.dumps({"traceback": "Traceback\nx", "attempt": 1}))
    written = log(folder, "local_canary-0.log", (canary, "epoch 1"))
    assert main(["--failed", str(disk.root)]) == 0
    out = capsys.readouterr().out
    assert "2 runs are missing: the launch was stopped, the canary failed, nan: x (bie status" in out
    runs = disk.tree.config_dir("zinb", "scvi_mine", point.id)
    assert f"  bie logs {runs}/seed=0000      what its canary said" in out
    assert main([f"{runs}/seed=0001"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:] == [
        "the launch was stopped, the canary failed, nan: x",
        "",
        "--- failed.json of its canary, attempt 1",
        "Traceback",
        "x",
        "",
        f"--- {written}",
        f"--- {canary}",
        "epoch 1",
    ]


def test_no_failures(disk: Any, point: Any, capsys: Printed):
    disk.launch([(point, 0, 0)], {})
    disk.run(point, 0, "record.json")
    assert main(["--failed", str(disk.root)]) == 0
    assert capsys.readouterr().out == "0 failures = 0 causes\n"


@pytest.fixture
def outputs(disk: Any) -> str:
    return f"--outputs={disk.root.parents[1]}"


def log(folder: Path, name: str, *runs: tuple[Path, str]) -> Path:
    path = folder / "logs" / name
    path.write_text("".join(f"--- {run}\n{said}\n" for run, said in runs))
    return path


def test_a_failed_run_with_its_part_of_the_log(
    disk: Any, point: Any, slurm: Any, outputs: str, capsys: Printed
):
    folder = disk.on_slurm([(point, 0, 0), (point, 1, 0)], (18, 0, 5))
    failed = disk.failure(point, 1, "nan", "critic overflow at epoch 3", attempt=2).parent
    other = failed.with_name("seed=0000")
    written = log(
        folder, "18_0.log", (other, "epoch 1"), (failed, "first try"), (other, "x"), (failed, "again")
    )
    assert main([point.run_id(1)[:10], outputs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"run {point.run_id(1)[:12]}  zinb scvi_mine")
    assert lines[1] == f"failed (nan)  {failed}"
    assert "task 18_0" in lines[2]
    assert "--- failed.json, attempt 2" in lines
    assert "Traceback" in lines
    assert lines[lines.index(f"--- {written}") + 1 :] == [
        f"--- {failed}",
        "first try",
        f"--- {failed}",
        "again",
    ]


def test_a_run_without_a_word_of_its_own_shows_the_end_of_its_tasks_log(
    disk: Any, point: Any, slurm: Any, outputs: str, capsys: Printed
):
    folder = disk.on_slurm([(point, 0, 0)], (21, 0, 2))
    (folder / "logs" / "21_0.log").write_text("module: command not found\n")
    assert main([point.run_id(0), outputs]) == 0
    out = capsys.readouterr().out
    assert "failed (timeout)" in out
    assert "task 21_0 ended (TIMEOUT) and left it undone" in out
    assert out.endswith("module: command not found\n")


def test_workers_share_their_logs(disk: Any, point: Any, outputs: str, capsys: Printed):
    folder = disk.launch([(point, 0, 0)], {})
    run = disk.run(point, 0, "record.json").parent
    log(folder, "worker-0.log", (run.with_name("seed=0001"), "not this"))
    log(folder, "worker-1.log", (run, "this"))
    assert main([point.run_id(0), outputs]) == 0
    out = capsys.readouterr().out
    assert out.endswith("this\n")
    assert "not this" not in out


def test_a_finished_run_shows_what_it_did(disk: Any, point: Any, outputs: str, capsys: Printed):
    folder = disk.launch([(point, 0, 0)], {})
    content = disk.record(point, 0)
    content["timing"] = {
        "total_s": 12.0,
        "fit_s": 8.0,
        "score_s": 4.0,
        "interruptions": 1,
        "peak_rss_mib": 300,
    }
    content["history_tail"] = {"epoch": 20, "elbo_train": -123.456}
    run = disk.run(point, 0, "record.json", content).parent
    log(folder, "worker-0.log", (run, "a line of its own"))
    assert main([point.run_id(0), outputs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"done  {run}"
    assert lines[3:10] == [
        "",
        "--- record.json",
        "12 s on n1 (cpu): fit 8.0 s, score 4.0 s",
        "interrupted 1 time, and gone on from a checkpoint",
        "train  ari 0.5",
        "test   ari 0.25",
        "last epoch  epoch 20  elbo_train -123.5",
    ]
    assert lines[10] == "files: record.json"
    assert lines[-1] == "a line of its own"


def test_a_run_on_slurm_has_the_log_that_submitit_wrote(
    disk: Any, point: Any, slurm: Any, outputs: str, capsys: Printed
):
    job = {"kind": "runs", "job_id": "18", "first_task": 0, "n_tasks": 5}
    folder = disk.launch(
        [(point, 0, 1)], {"launcher": "submitit_slurm"}, [job | {"log": "LOGS/%j_%t_log.out"}]
    )
    noted = (folder / "jobs.json").read_text()
    (folder / "jobs.json").write_text(noted.replace("LOGS", str(folder / "submitit")))
    run = disk.failure(point, 0, "nan", "x").parent
    (folder / "submitit").mkdir()
    (folder / "submitit" / "18_1_0_log.out").write_text(f"submitit INFO\n--- {run}\nsaid on Slurm\n")
    assert main([point.run_id(0), outputs]) == 0
    assert capsys.readouterr().out.endswith("said on Slurm\n")


def test_the_errors_of_a_task_are_shown_where_they_are_a_log_apart(
    disk: Any, point: Any, slurm: Any, outputs: str, capsys: Printed
):
    folder = disk.on_slurm([(point, 0, 0)], (21, 0, 2))
    run = disk.failure(point, 0, "nan", "x").parent
    log(folder, "21_0.log", (run, "of the run"))
    errors = folder / "logs" / "21_0.err"
    errors.write_text("of the task\n")
    assert main([point.run_id(0), outputs]) == 0
    end = capsys.readouterr().out.splitlines()[-4:]
    assert end == ["of the run", "", f"--- {errors}: the end of it, which names no run", "of the task"]
