"""Where a launch writes and how it runs."""

import contextlib
import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bie.schema import Count, Int, Name, Positive, Section, matching

Line = Annotated[str, matching(r"[^\x00-\x1f]+", "one line of text")]
"""Text that stays on one line of a batch script."""

Variable = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _ alone, with no digit first")
]
Option = Annotated[
    str, matching(r"[a-z][a-z0-9_-]*", "small letters, digits, _ and - alone, with a letter first")
]
Minutes = Annotated[Int, Field(ge=1, le=525_600)]


class Local(Section):
    """Launcher: worker processes of one thread each; 0 workers run everything in the calling process."""

    kind: Literal["local"]
    workers: Annotated[Int, Field(ge=0, le=4096)] | None


class Resources(Section):
    """What a task asks Slurm for; None asks for nothing, so that the cluster's own default holds."""

    cpus_per_task: Annotated[Int, Field(ge=1, le=1024)] | None
    mem_gb: Positive | None
    mem_per_cpu: Line | None
    mem_per_gpu: Line | None
    gres: Line | None
    gpus_per_node: Line | None
    gpus_per_task: Line | None
    cpus_per_gpu: Count | None
    partition: Line | None
    qos: Line | None
    account: Line | None
    constraint: Line | None
    nodelist: Line | None
    exclude: Line | None
    exclusive: bool | None


class Tasks(Section):
    """How runs are bundled into tasks and how these behave: what both submitit launchers share."""

    name: Name
    timeout_min: Minutes | None
    runs_per_job: Count | None
    array_parallelism: Count | None
    signal_delay_s: Annotated[Int, Field(ge=1, le=65_535)]
    max_num_timeout: Annotated[Int, Field(ge=0)]
    max_identical_failures: Count | None
    canary: bool
    wait: bool
    python: Line | None
    setup: tuple[Line, ...]


class SubmititLocal(Tasks):
    """Launcher: the tasks of a Slurm launch as detached processes of this machine, to rehearse it."""

    kind: Literal["submitit_local"]
    cpus_per_task: Annotated[Int, Field(ge=1, le=1024)] | None


class SubmititSlurm(Tasks, Resources):
    """Launcher: Slurm job arrays. The names are those of hydra-submitit-launcher."""

    kind: Literal["submitit_slurm"]
    nodes: Literal[1]
    tasks_per_node: Literal[1]
    comment: Line | None
    dependency: Line | None
    mail_type: Line | None
    mail_user: Line | None
    additional_parameters: dict[Option, str | bool | None]


class Site(Resources):
    """What tasks need on one cluster; the launcher's own keys have the last word."""

    name: Name
    timeout_min: Minutes
    modules: tuple[Line, ...]
    environment: dict[Variable, Line]
    setup: tuple[Line, ...]


Launcher = Annotated[Local | SubmititLocal | SubmititSlurm, Field(discriminator="kind")]


class Hydra(Section):
    """The part of Hydra's own tree that bie reads."""

    launcher: Launcher


def _margin(value: object) -> object:
    share = re.fullmatch(r"(\d+(\.\d*)?|\.\d+)%", str(value))
    if share:
        return value
    with contextlib.suppress(ValueError):
        if 0 <= float(str(value)) < math.inf:
            return float(str(value))
    raise ValueError("must be a number >= 0, a share of the baseline such as 0.5%, or null")


Margin = Annotated[float | str, BeforeValidator(_margin)]
"""How large a difference of a metric has to be to matter."""


class Study(Section):
    """Name of a study, the sweep it stands for as override texts, and what its rows are judged by."""

    name: Name
    sweep: tuple[str, ...]
    baseline: Line | None
    margins: dict[str, Margin | None]


def _pack_size(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("must be auto or a number of runs >= 1")


class Settings(Section):
    """Where a launch writes and how it runs; no part of any run's identity."""

    outputs: Path
    version: Name
    pack: Annotated[int | Literal["auto"], BeforeValidator(_pack_size)]
    device: Literal["auto", "cpu", "cuda"]
    products: Literal["float32", "tf32"]
    study: Study
    site: Site
    hydra: Hydra

    def inactive(self) -> dict[str, str]:
        """A site means nothing to processes of this machine."""
        return {"site": "hydra/launcher=local"} if isinstance(self.hydra.launcher, Local) else {}
