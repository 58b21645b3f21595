"""``bie status`` as people and programs read it, once and to the end of a study."""

import json
import os
import re
import shlex
from typing import Any

import pytest

from bie.logs import main as logs
from bie.monitoring.overview import stay
from bie.status import main

Printed = pytest.CaptureFixture[str]


def scales(point: Any) -> list[Any]:
    return [type(point)(scale) for scale in (1000, 5000)]


def test_the_table_counts_by_grid_point(disk: Any, point: Any, slurm: Any, capsys: Printed):
    small, large = scales(point)
    runs = [(cell, seed, task) for seed, task in enumerate((0, 6, 10)) for cell in (small, large)]
    disk.on_slurm(runs, (18, 0, 5), (19, 5, 4), (21, 10, 2))
    disk.run(small, 0, "record.json")
    disk.failure(large, 0, "nan", f"critic overflow at epoch 3{' and on' * 20}")
    assert main([str(disk.root)]) == 0, "something is still under way"
    out = capsys.readouterr().out
    header, first, second, *rest = out.splitlines()
    assert re.fullmatch(r"adhoc · launch \S+ · \d s · 1 of 11 tasks running, 0 waiting", header)
    assert " ".join(first.split()) == "zinb scvi_mine mine.scale=1000 1/3 queued 1 failed 1 (timeout)"
    assert " ".join(second.split()) == "zinb scvi_mine mine.scale=5000 0/3 queued 1 failed 2 (nan, timeout)"
    assert rest[0] == "3 failures = 2 causes:"
    assert " and on ..., seed 0 " in out
    assert f"bie logs {disk.root}/runs/zinb/scvi_mine/{large.id[:12]}/seed=0000" in out
    assert f"bie cancel {disk.root}" in rest[-1]


def test_json_has_the_keys_of_the_contract_and_nothing_else(disk: Any, point: Any, capsys: Printed):
    disk.launch([(point, seed, 0) for seed in range(4)], {})
    disk.run(point, 0, "record.json")
    disk.run(point, 1, "claim.json", {"host": "elsewhere", "pid": 1})
    disk.failure(point, 2, "nan", "at epoch 3")
    assert main([str(disk.root), "--json"]) == 0
    cell = {"dataset": "zinb", "model": "scvi_mine", "config_id": point.id}
    counts = {"done": 1, "running": 1, "queued": 0, "failed": 1, "expected": 4}
    assert json.loads(capsys.readouterr().out) == {"cells": [cell | counts]}


@pytest.mark.parametrize(("done", "code", "said"), [(2, 0, "bie aggregate"), (1, 1, "1 missing")])
def test_exit_codes_once_nothing_is_under_way(
    done: int, code: int, said: str, disk: Any, point: Any, capsys: Printed
):
    disk.launch([(point, 0, 0), (point, 1, 0)], {})
    for seed in range(done):
        disk.run(point, seed, "record.json")
    assert main([str(disk.root)]) == code
    assert said in capsys.readouterr().out


def test_a_silent_slurm_is_named(disk: Any, point: Any, slurm: Any, capsys: Printed):
    disk.on_slurm([(point, 0, 0)], (18, 0, 1))
    slurm.command("squeue", 'echo "squeue: error: Unable to contact slurm controller" >&2; exit 1')
    assert main([str(disk.root)]) == 1
    assert "1 runs may be waiting or at work: squeue: error: Unable to contact" in capsys.readouterr().out


def test_a_stopped_launch_says_why(disk: Any, point: Any, capsys: Printed):
    folder = disk.launch([(point, 0, 0)], {})
    (folder / "stopped.json").write_text(json.dumps({"reason": "20 runs failed alike: nan"}))
    main([str(disk.root)])
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("stopped: 20 runs failed alike: nan")
    assert f"bie logs --failed {disk.root}     why" in out


def test_no_plan_is_bad_input(disk: Any, capsys: Printed):
    (disk.root / "runs").mkdir(parents=True)
    assert main([str(disk.root)]) == 2
    assert main([str(disk.root / "nowhere")]) == 2
    err = capsys.readouterr().err
    assert "no launch" in err
    assert "not a study" in err


def commands(out: str) -> list[list[str]]:
    """What the shell makes of the commands that are suggested."""
    found = re.findall(r"  (bie .*?)(?:     .*)?$", out, re.MULTILINE)
    return [shlex.split(text) for text in found]


def test_the_newest_study_of_the_default_folder_need_not_be_named(
    disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch
):
    disk.launch([(point, 0, 0)], {})
    older = type(disk)(disk.root.parent / "older")
    os.utime(older.launch([(point, 0, 0)], {}).parent, (1, 1))
    monkeypatch.chdir(disk.root.parents[2])
    assert main([]) == 1
    out = capsys.readouterr().out
    assert out.startswith("adhoc · ")
    assert commands(out) == [["bie", "retry"]]


@pytest.mark.parametrize("how", ["--outputs", "TREE"])
def test_commands_name_the_study_for_the_shell(how: str, disk: Any, point: Any, capsys: Printed):
    other = type(disk)(disk.root.parent / "my data" / "v1" / "it's")
    other.launch([(point, 0, 0), (point, 1, 0), (point, 2, 0)], {})
    other.run(point, 0, "record.json")
    other.failure(point, 1, "nan", "at epoch 3")
    named = ["--outputs", str(other.root.parents[1])] if how == "--outputs" else [str(other.root)]
    assert main(named) == 1
    tree = str(other.root)
    assert commands(capsys.readouterr().out)[1:] == [
        ["bie", "logs", "--failed", tree],
        ["bie", "retry", tree],
        ["bie", "aggregate", tree],
    ]
    assert logs(["--failed", *named]) == 0
    example, again = commands(capsys.readouterr().out)
    assert again == ["bie", "retry", tree, "--cause", "nan,missing"]
    assert logs(example[2:]) == 0, "from any folder"
    assert "at epoch 3" in capsys.readouterr().out


def test_watching_prints_a_line_per_change_until_nothing_is_under_way(
    disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch
):
    disk.launch([(point, 0, 0), (point, 1, 0)], {})
    disk.run(point, 0, "record.json")
    claim = disk.run(point, 1, "claim.json", {"host": "elsewhere", "pid": 1})
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            disk.run(point, 1, "record.json")
            claim.unlink()

    monkeypatch.setattr("time.sleep", nap)
    assert main([str(disk.root), "--watch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1/2 done   running 1", "2/2 done"]
    assert lines[3].split()[-1] == "2/2"


@pytest.mark.parametrize(("state", "code", "said"), [("record.json", 0, "2/3"), ("none", 1, "2 missing")])
def test_who_waits_for_a_launch_gets_its_exit_code(
    state: str, code: int, said: str, disk: Any, point: Any, capsys: Printed
):
    other = disk.launch([(point, 7, 0)], {}, name="20250101-000000-7f3a")  # nobody is at it
    folder = disk.launch([(point, 0, 0), (point, 1, 0)], {})
    for seed, name in ((0, "record.json"), (1, state)):
        disk.run(point, seed, name)
    assert stay(disk.tree, folder.name) == code
    assert said in capsys.readouterr().out
    assert stay(disk.tree, other.name) == 1


def test_ctrl_c_ends_the_watching_alone(
    disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch
):
    folder = disk.launch([(point, 0, 0)], {})
    disk.run(point, 0, "claim.json", {"host": "elsewhere", "pid": 1})

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    assert stay(disk.tree, folder.name) == 1
    assert capsys.readouterr().out.endswith("no longer watching; the launch goes on\n")


def test_a_terminal_is_redrawn(disk: Any, point: Any, capsys: Printed, monkeypatch: pytest.MonkeyPatch):
    disk.launch([(point, 0, 0)], {})
    disk.run(point, 0, "record.json")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main([str(disk.root), "--watch"]) == 0
    assert "1/1" in capsys.readouterr().out
