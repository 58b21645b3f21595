#!/usr/bin/env bash
# omegaconf 2.3.1, hydra-core 1.3.8, submitit 1.5.4: a time limit of 12:00:00 in a config asks Slurm for 30 days.
#
# OmegaConf reads YAML 1.1, where digits with colons are a number of base 60: 12:00:00 is the integer 43200, so
# many seconds. submitit hands it on, and to sbatch a bare number is one of minutes: 43,200 minutes are 30 days. With a
# leading zero it is no such number, and the same line with 08:00:00 is right; so is an override on the command
# line, which Hydra reads by its own grammar. A cluster with a shorter limit leaves such a job pending or refuses it.
# Seen: --time=43200 for 12:00:00, --time=1800 (30 hours) for 30:00, --time=08:00:00 and --time=1-12:00:00 unchanged.
# What it means: jobs that wait for days behind others, or that run 60 times as long before they are stopped.
# What helps: quotes, time: "12:00:00"; or submitit's own timeout_min.
source "$(dirname "$0")/environment.bash"
packages hydra-core==1.3.8 omegaconf==2.3.1 submitit==1.5.4
"$python" - <<'END'
import os, tempfile
from importlib.metadata import version
from pathlib import Path

import submitit
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

folder = Path(tempfile.mkdtemp())
for name in ("sbatch", "srun"):  # stand-ins: what submitit would have submitted is read from its script
    (folder / name).write_text("#!/bin/sh\necho Submitted batch job 1\n")
    (folder / name).chmod(0o755)
os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def asked(time):
    """The time limit in the script that submitit writes for a config with this one, as a launcher hands it on."""
    (folder / "launcher.yaml").write_text(f"additional_parameters:\n  time: {time}\n")
    parameters = OmegaConf.to_container(OmegaConf.load(folder / "launcher.yaml"))["additional_parameters"]
    executor = submitit.AutoExecutor(folder / "jobs", cluster="slurm")
    executor.update_parameters(timeout_min=60, slurm_additional_parameters=parameters)
    executor.submit(print)
    script = (folder / "jobs" / "1_submission.sh").read_text()
    return [line.split("--time=")[1] for line in script.splitlines() if "--time=" in line]


found = {time: asked(time) for time in ("12:00:00", "30:00", "08:00:00", "1-12:00:00", '"12:00:00"')}
typed = OverridesParser.create().parse_override("time=12:00:00").value()
print(f"omegaconf {version('omegaconf')}, submitit {version('submitit')}: --time by config {found}; typed: {typed!r}")
assert found["12:00:00"] == ["43200"] and found["30:00"] == ["1800"] and typed == "12:00:00"
assert found["08:00:00"] == ["08:00:00"] and found["1-12:00:00"] == ["1-12:00:00"] and found['"12:00:00"'] == ["12:00:00"]
END
