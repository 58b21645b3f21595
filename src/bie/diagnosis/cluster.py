"""Whether there is a Slurm here, and what it lets one submit."""

import getpass
import shutil

from bie.diagnosis.check import Row
from bie.launching import slurm

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
ANSWERS_IN_S = 10.0
_NO_ANSWER = (
    "Nothing can be submitted until its controller answers: is this a node of the cluster, is SLURM_CONF its "
    "file? hydra/launcher=local needs no Slurm"
)


def cluster() -> Row:
    """Slurm's version and limits, as far as its controller answers."""
    there = [command for command in COMMANDS if shutil.which(command)]
    if not there:
        return Row("Slurm", "ok", "not on this machine; hydra/launcher=local needs none")
    if missing := sorted(set(COMMANDS) - set(there)):
        return Row(
            "Slurm", "warning", f"{', '.join(missing)} not found", "Use a login node, or load its module"
        )
    try:
        version = slurm.run("sinfo", "--version", timeout_s=ANSWERS_IN_S).strip()
        text = slurm.run("scontrol", "show", "config", timeout_s=ANSWERS_IN_S)
    except slurm.SlurmError as error:
        return Row("Slurm", "warning", str(error), _NO_ANSWER)
    return of_config(version, text, _quota())


def _quota() -> int:
    from bie.launching.bundling import limits_of

    return limits_of(getpass.getuser()).quota


def of_config(version: str, text: str, quota: int) -> Row:
    """Row of what ``scontrol show config`` said.

    Parameters
    ----------
    quota
        Tasks that may still be submitted.
    """
    settings = slurm.parse_config(text)
    kept = settings.get("AccountingStorageType", "none").rpartition("/")[2]
    accounting = "no accounting" if kept in ("none", "(null)") else f"accounting by {kept}"
    size = settings.get("MaxArraySize", "not said")
    found = f"{version}, MaxArraySize {size}, room for {quota:,} tasks, {accounting}"
    if quota == 0:
        return Row("Slurm", "warning", found, "The queue is full for you: wait, or see bie cancel")
    return Row("Slurm", "ok", found)
