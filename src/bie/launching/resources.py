"""What a task asks the cluster for: the launcher's keys over the site's, as submitit's parameters."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from bie import devices
from bie.config import Resources, Settings, Site, SubmititLocal, SubmititSlurm
from bie.config.launchers import asks_for_gpu
from bie.errors import BadInput

_ALTERNATIVES = (
    {"mem_gb", "mem_per_cpu", "mem_per_gpu"},
    {"gres", "gpus_per_node", "gpus_per_task"},
    {"nodelist", "exclude"},
)
"""Keys that say the same in different words: what the launcher says in one silences the site's others."""

_SUBMITIT_NAME = {"mem_gb": "mem", "name": "job_name"}
"""Names of `submitit.SlurmExecutor` that are not those of the keys."""


def resources(launcher: SubmititSlurm, site: Site) -> dict[str, Any]:
    """What a task asks for: the launcher's values, the site's where it has none."""
    own, theirs = (
        {key.name: value for key in fields(Resources) if (value := getattr(section, key.name)) is not None}
        for section in (launcher, site)
    )
    covered = set(own).union(*(keys for keys in _ALTERNATIVES if keys & own.keys()))
    return {**{key: value for key, value in theirs.items() if key not in covered}, **own}


def submitit_folder(launcher: SubmititSlurm | SubmititLocal, launch: Path) -> Path:
    """Where submitit writes: into the launch's folder, or where the user says, ``%j`` and all."""
    return launch / "submitit" if launcher.submitit_folder is None else Path(launcher.submitit_folder)


def check_gpus(settings: Settings) -> None:
    """Refuse a site that reserves GPUs which its device leaves idle, or that has none for its device.

    Raises
    ------
    BadInput
        So says the site itself. What was typed instead of its device is meant.
    """
    site, asked = settings.site, asks_for_gpu(settings.model_dump())
    if site.device != settings.device or not isinstance(settings.hydra.launcher, SubmititSlurm):
        return
    if asked and site.device == "cpu":
        raise BadInput(
            "site.device=cpu: each task reserves a GPU, which would stay idle. Take out gres and the "
            "like, or set site.device=cuda"
        )
    if not asked and site.device == "cuda":
        raise BadInput(
            "site.device=cuda: no task asks for a GPU. Ask for one, site.gres=gpu:1, or use device=cpu"
        )


def time_limit(launcher: SubmititSlurm | SubmititLocal, site: Site) -> int:
    """Minutes that a task may take."""
    return launcher.timeout_min or site.timeout_min


def cpus(launcher: SubmititSlurm | SubmititLocal, site: Site) -> int:
    """CPUs of a task, each of which has one run at work."""
    return launcher.cpus_per_task or site.cpus_per_task or 1


def tasks_at_a_time(settings: Settings) -> int | None:
    """Tasks that may be at work at a time; on this machine, unless somebody said so, as its cores hold."""
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititSlurm | SubmititLocal)
    if isinstance(launcher, SubmititSlurm) or launcher.array_parallelism:
        return launcher.array_parallelism
    return max(devices.cores() // cpus(launcher, settings.site), 1)


def runs_at_a_time(settings: Settings) -> int:
    """Runs that are at work at a time, if the cluster has the room."""
    launcher = settings.hydra.launcher
    assert isinstance(launcher, SubmititSlurm | SubmititLocal)
    return (tasks_at_a_time(settings) or 1) * cpus(launcher, settings.site)


def uses_srun(launcher: SubmititSlurm) -> bool:
    """Whether ``srun`` starts the Python of a task; its arguments have no meaning without."""
    return launcher.use_srun or bool(launcher.srun_args)


def parameters(launcher: SubmititSlurm, site: Site) -> dict[str, Any]:
    """Parameters of `submitit.SlurmExecutor` that all arrays of a launch share.

    Two options differ from what submitit 1.5.4 would write. ``--signal`` says ``B:``, as the warning has to
    reach the batch shell where there is no ``srun`` (see `bie.launching.submit`); ``--requeue`` lets a node
    that dies give its task back where the cluster's default is not to.
    """
    about = ("name", "nodes", "comment", "mail_type", "mail_user", "signal_delay_s")
    asked = resources(launcher, site) | {"cpus_per_task": cpus(launcher, site)}
    named = asked | {key: getattr(launcher, key) for key in about}
    return {
        **{_SUBMITIT_NAME.get(key, key): _value(key, value) for key, value in _set(named).items()},
        "time": time_limit(launcher, site),
        "ntasks_per_node": launcher.tasks_per_node,
        "wckey": launcher.wckey,
        "stderr_to_stdout": launcher.stderr_to_stdout,
        "use_srun": uses_srun(launcher),
        "srun_args": launcher.srun_args,
        "additional_parameters": {
            "requeue": True,
            "signal": f"{'' if uses_srun(launcher) else 'B:'}USR2@{launcher.signal_delay_s}",
            **_set(launcher.additional_parameters),
        },
    }


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """Options that somebody set: null and false are none."""
    return {key: value for key, value in options.items() if value is not None and value is not False}


def _value(key: str, value: Any) -> Any:
    """A value as submitit hands it on; memory in MiB, and 0 for all that a node has."""
    if key == "mem_gb":
        return f"{round(1024 * value)}M" if value else "0"
    return value
