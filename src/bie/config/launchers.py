"""What carries a launch out: a launcher, and the cluster that it is on.

The launchers are the configuration classes of hydra-submitit-launcher 1.2, subclassed: all its keys with
their meaning, and bie's own. They are dataclasses because Hydra's schemas are; pydantic checks them too.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from bie.config.slurm_words import in_minutes, in_seconds, without_keys
from bie.schema import Count, Int, Name, matching, no_bool

Line = Annotated[str, matching(r"[^\x00-\x1f]+", "one line of text")]
"""Text that stays on one line of a batch script."""

Variable = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _ alone, with no digit first")
]
Option = Annotated[
    str, matching(r"[a-z][a-z0-9_-]*", "small letters, digits, _ and - alone, with a letter first")
]
Minutes = Annotated[int, BeforeValidator(in_minutes), Field(ge=1, le=525_600)]
Seconds = Annotated[int, BeforeValidator(in_seconds), Field(ge=1, le=65_535)]
Gigabytes = Annotated[float, BeforeValidator(no_bool), Field(ge=0)]
"""0 is all that a node has, as for ``sbatch --mem``."""
Lines = Annotated[list[Line], BeforeValidator(lambda value: value or [])]
"""Shell lines; null, as in hydra-submitit-launcher, is none."""
Cpus = Annotated[Int, Field(ge=1, le=1024)]
Device = Literal["auto", "cpu", "cuda"]
One = Annotated[Int, Field(ge=1, le=1)]
Requeues = Annotated[Int, Field(ge=0)]


_CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)
_PLUGINS = "hydra_plugins.bie"
_OURS = ("hydra_plugins.bie.", "hydra_plugins.hydra_submitit_launcher.")


@dataclass
class Local:
    """Launcher: worker processes of one thread each; 0 workers run everything in the calling process."""

    kind: ClassVar[str] = "local"
    __pydantic_config__ = _CLOSED

    _target_: str = f"{_PLUGINS}.WorkersLauncher"
    workers: Annotated[Int, Field(ge=0, le=4096)] | None = None


@dataclass
class Resources:
    """What a task asks Slurm for; None asks for nothing, so that the cluster's own default holds."""

    __pydantic_config__ = _CLOSED

    cpus_per_task: Cpus | None = None
    mem_gb: Gigabytes | None = None
    mem_per_cpu: Line | None = None
    mem_per_gpu: Line | None = None
    gres: Line | None = None
    gpus_per_node: Line | None = None
    gpus_per_task: Line | None = None
    cpus_per_gpu: Count | None = None
    partition: Line | None = None
    qos: Line | None = None
    account: Line | None = None
    constraint: Line | None = None
    nodelist: Line | None = None
    exclude: Line | None = None
    exclusive: bool | None = None


@dataclass
class _Submitit:
    """Keys of both launchers of submitit, as they differ from hydra-submitit-launcher 1.2, and bie's own.

    ``timeout_min`` may be left to the site; ``submitit_folder`` lies in the folder of the launch; ``name`` is
    fixed, as Hydra's job name says nothing here; ``nodes`` and ``tasks_per_node`` are 1, as runs do not span
    nodes; ``mem_gb`` may be a fraction; ``max_num_timeout`` is 3, as what is cut short goes on; stderr goes
    to the one log. From ``runs_per_job`` on: how runs are bundled into tasks, and how these behave.
    """

    __pydantic_config__ = _CLOSED

    submitit_folder: Line | None = None
    name: Line = "bie"
    timeout_min: Minutes | None = None
    nodes: One = 1
    tasks_per_node: One = 1
    cpus_per_task: Cpus | None = None
    mem_gb: Gigabytes | None = None
    stderr_to_stdout: bool = True
    signal_delay_s: Seconds = 120
    max_num_timeout: Requeues = 3
    setup: Lines | None = None
    runs_per_job: Count | None = None
    max_identical_failures: Count | None = 20
    canary: bool = False
    wait: bool = False
    python: Line | None = None


@dataclass
class SubmititLocal(_Submitit, LocalQueueConf):  # type: ignore[misc]
    """Launcher: the tasks of a Slurm launch as jobs of submitit's local executor, to rehearse it.

    Some keys of `_Submitit` hydra-submitit-launcher has for Slurm alone, ``array_parallelism`` too.
    """

    kind: ClassVar[str] = "submitit_local"

    _target_: str = f"{_PLUGINS}.SubmititLocalLauncher"
    array_parallelism: Count | None = None


_STOCK = frozenset(key.name for key in fields(SlurmQueueConf))
Extra = Annotated[
    dict[Option, str | bool | None], AfterValidator(lambda options: without_keys(options, _STOCK))
]
"""Options of ``sbatch``: also those that hydra-submitit-launcher leaves to this key and bie has keys for."""


@dataclass
class SubmititSlurm(_Submitit, Resources, SlurmQueueConf):  # type: ignore[misc]
    """Launcher: Slurm job arrays, by the keys of hydra-submitit-launcher 1.2.

    Besides what `_Submitit` says: the site's keys stand in for null, ``gpus_per_node`` may name a type
    (``a100:2``), as ``sbatch`` has it, and the options of submitit that are left out there are keys.
    """

    kind: ClassVar[str] = "submitit_slurm"

    _target_: str = f"{_PLUGINS}.SubmititSlurmLauncher"
    comment: Line | None = None
    additional_parameters: Extra = field(default_factory=dict)
    array_parallelism: Count | None = 256
    teardown: Lines | None = None
    dependency: Line | None = None
    mail_type: Line | None = None
    mail_user: Line | None = None
    wckey: Line | None = None
    use_srun: bool = False
    srun_args: Lines | None = None


@dataclass(kw_only=True)
class Site(Resources):
    """What tasks need on one cluster; the launcher's own keys have the last word."""

    name: Name
    timeout_min: Minutes
    device: Device | None = None
    modules: tuple[Line, ...]
    environment: dict[Variable, Line]
    setup: Lines
    python: Line | None = None


_KINDS = {
    "WorkersLauncher": Local.kind,
    "BasicLauncher": Local.kind,
    "LocalLauncher": SubmititLocal.kind,
    "SubmititLocalLauncher": SubmititLocal.kind,
    "SlurmLauncher": SubmititSlurm.kind,
    "SubmititSlurmLauncher": SubmititSlurm.kind,
}
"""Choice of ``hydra/launcher`` by the class in ``_target_``: bie's, Hydra's, hydra-submitit-launcher's."""


def launcher_kind(launcher: Any) -> str:
    """Which launcher some plain values are of: by ``_target_``, or by ``kind``, as bie wrote it before."""
    if not isinstance(launcher, Mapping):
        return str(getattr(launcher, "kind", ""))
    named = str(launcher.get("_target_", ""))
    return str(launcher.get("kind") or _KINDS.get(named.rpartition(".")[2], named))


def is_ours(launcher: Mapping[str, Any]) -> bool:
    """Whether a launcher is one of bie, or of hydra-submitit-launcher, for which bie has its own."""
    return str(launcher.get("_target_", _OURS[0])).startswith(_OURS)


def complete(launcher: MutableMapping[str, Any]) -> None:
    """Give a launcher file of the user's the keys that it leaves out, so that these can be typed too."""
    schemas = {schema.kind: schema for schema in (Local, SubmititLocal, SubmititSlurm)}
    schema = schemas.get(launcher_kind(launcher)) if is_ours(launcher) else None
    for key, value in (asdict(schema()) if schema else {}).items():
        launcher.setdefault(key, value)


def _of_today(launcher: Any) -> Any:
    """Plain values without the ``kind`` of earlier launches, whose class says it now."""
    if isinstance(launcher, Mapping):
        return {key: value for key, value in launcher.items() if key != "kind"}
    return launcher


Launcher = Annotated[
    Annotated[Local, BeforeValidator(_of_today), Tag(Local.kind)]
    | Annotated[SubmititLocal, BeforeValidator(_of_today), Tag(SubmititLocal.kind)]
    | Annotated[SubmititSlurm, BeforeValidator(_of_today), Tag(SubmititSlurm.kind)],
    Discriminator(
        launcher_kind,
        custom_error_type="launcher",
        custom_error_message="must have a _target_ of bie, Hydra or hydra-submitit-launcher",
    ),
]


_GPUS = ("gpus", "gpus_per_node", "gpus_per_task", "gpus_per_socket")
_GRES = ("gres", "tres_per_task")
"""Options of ``sbatch`` by which a task gets GPUs: numbers of them, and texts that name them."""


def asks_for_gpu(settings: Mapping[str, Any]) -> bool:
    """Whether the plain values of settings reserve a GPU for each task on Slurm."""
    launcher = settings.get("hydra", {}).get("launcher")
    if launcher_kind(launcher) != SubmititSlurm.kind:
        return False
    more = launcher.get("additional_parameters")
    options = {key.replace("-", "_"): value for key, value in more.items()} if isinstance(more, dict) else {}
    sections = [launcher, settings.get("site") or {}, options]
    named = any(str(section.get(key) or 0) != "0" for section in sections for key in _GPUS)
    return named or any("gpu" in str(section.get(key)) for section in sections for key in _GRES)
