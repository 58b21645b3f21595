"""Every verb as a user types it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bie.cli import VERBS, main
from bie.plan import main as plan
from bie.run import main as run

HEAVY = ("torch", "scanpy", "anndata", "pandas", "sklearn", "hydra", "pydantic", "numpy")


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_light(verb: str):
    code = "import sys, runpy\nsys.argv = ['x', '--help']\n"
    code += f"try: runpy.run_module('bie.{verb}', run_name='__main__')\n"
    code += f"finally: print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: bie" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("module", "unbuffered"), [("cli", ""), ("run", ""), ("run", "1")])
def test_a_reader_that_has_gone_is_no_traceback(module: str, unbuffered: str):
    end, start = os.pipe()
    os.close(end)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", f"bie.{module}", "--help"]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(start)
    assert (done.returncode, done.stderr) == (1, b"")


def test_bie_lists_its_verbs(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(verb in listed for verb in VERBS)
    assert main(["frobnicate"]) == 2
    assert "no verb 'frobnicate'" in capsys.readouterr().err
    assert main(["--version"]) == 0


def test_plan_in_numbers_launches_nothing(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    typed = ["dataset.size=smoke", "model=scvi,scvi_mine", "mine.scale=1000,5000", "seed=range(100)"]
    assert plan([*typed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "runs": 300,
        "done": 0,
        "todo": 300,
        "dropped": [{"reason": "mine.scale does not act on model=scvi", "count": 100}],
        "jobs": pytest.approx(2, abs=510),
        "waves": 1,
    }
    assert main(["plan", *typed]) == 0
    text = capsys.readouterr().out
    assert "300 runs = 400 combinations - 100" in text
    assert "zinb (400 cells x 100 genes, 2 batches)" in text
    assert list(in_tmp.iterdir()) == []


def test_plan_says_that_this_machine_has_no_gpu(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bie.devices.gpus", lambda: 0)
    assert plan(["dataset.size=smoke", "device=cuda"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("here bie run refuses this: device=cuda: ")
    assert plan(["dataset.size=smoke", "device=cuda", "hydra/launcher=submitit_slurm"]) == 0
    assert "refuses" not in capsys.readouterr().out


def test_power_is_of_what_is_compared_with_the_baseline_of_the_study(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
):
    typed = ["study=set_capacity", "seed=0,1", "--power", "--json"]
    assert plan(typed) == 0
    said = json.loads(capsys.readouterr().out)["power"]
    assert {" ".join(line.split()[:8]) for line in said} == {
        "power: nothing is known of deep_sets on sets"
    }, "not of set_mean, the baseline"


def test_power_without_a_pilot_says_how_to_make_one(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    typed = ["dataset.size=smoke", "model=scvi,scvi_mine", "seed=range(3)", "--power"]
    assert plan(typed) == 0
    assert "power: nothing is known of scvi_mine on zinb yet" in capsys.readouterr().out
    assert plan([*typed, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["power"]
    assert "study.name=pilot" in line
    assert list(in_tmp.iterdir()) == []


def test_a_sweep_needs_its_flag(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["seed=0,1"]) == 2
    assert "-m" in capsys.readouterr().err
    assert run(["study=quickstart"]) == 2


def test_cfg_shows_the_configuration(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["model=scvi_mine", "mine.scale=7", "--cfg", "job"]) == 0
    shown = OmegaConf.to_container(OmegaConf.create(capsys.readouterr().out))
    assert isinstance(shown, dict)
    assert shown["mine"]["scale"] == 7
    assert shown["outputs"] == "outputs"


def test_a_missing_config_dir_is_bad_input(in_tmp: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--config-dir", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outputs", "says"), [("afile", "leads through a file"), ("/proc/x", "is not there and cannot be made")]
)
def test_a_folder_that_cannot_be_used_is_bad_input(
    outputs: str, says: str, in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    (in_tmp / "afile").touch()
    assert run([*tiny, "hydra.launcher.workers=0", f"outputs={outputs}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(outputs)
    assert says in line
    assert "outputs=DIR" in line


def test_next_commands_are_quoted(in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert run([*tiny, "hydra.launcher.workers=0", "outputs=my data"]) == 0
    assert "  bie aggregate 'my data/v1/adhoc'      table" in capsys.readouterr().out


def test_one_run_in_this_process(in_tmp: Path, tiny: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert run([*tiny, "hydra.launcher.workers=0"]) == 0
    assert "done 1.   exit 0" in capsys.readouterr().out
    assert run([*tiny, "hydra.launcher.workers=0"]) == 0
    assert "1 were done before" in capsys.readouterr().out
    assert main(["aggregate"]) == 0
    assert "outputs/v1/adhoc/report" in capsys.readouterr().out


def test_the_module_of_all_verbs_is_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["bie", "frobnicate"])
    monkeypatch.delitem(sys.modules, "bie.cli")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("bie.cli", run_name="__main__")
    assert ended.value.code == 2
    assert "no verb 'frobnicate'" in capsys.readouterr().err
