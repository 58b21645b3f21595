"""What is one for a launch, whatever its runs: the study that it is of; where it writes, and how it runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from bie import devices
from bie.config import Local, Settings, SubmititSlurm
from bie.config.launchers import is_ours, launcher_kind
from bie.errors import BadInput
from bie.planning.compose import GROUPS, SETTINGS, Configurations
from bie.planning.grammar import Axis, assignments, read_axes
from bie.planning.hydra_keys import for_bie, params, without_params
from bie.planning.keys import Plain, assign, copied, resolve
from bie.schema import validated
from bie.store.paths import Tree

_HOW = ("hydra/launcher", "hydra", "site", "pack", "device", "matmul_precision", "environment")
_RENAMED = {"products": "matmul_precision"}
"""Keys of launches before 2026-11-30, and what they are called now."""
IN_THIS_PROCESS = {"kind": "local", "workers": 0}

_JUDGED_BY = ("baseline", "margins")  # of a study, from config.yaml unless its file says another


def with_study(typed: list[Axis], overrides: Sequence[str], configurations: Configurations) -> list[Axis]:
    """The axes of the study and of ``hydra.sweeper.params`` first: what was typed has the last word."""
    study = next((axis for axis in typed if axis.keys == ("study",)), None)
    if study and study.swept:
        raise BadInput("study: one study per command; run the command once for each")
    first = _sweep_of(str(study.values[0][0]), configurations) if study else []
    configured = OmegaConf.to_container(configurations.composed({}).whole.hydra.sweeper)
    first += params(configured.get("params"), overrides)  # type: ignore[union-attr]
    return read_axes([*first, *without_params(overrides)], configurations.groups) if first else typed


def _sweep_of(study: str, configurations: Configurations) -> list[str]:
    """Overrides of a study's file, which may be the user's own."""
    section = configurations.composed({"study": study}).plain.get("study") or {}
    sweep = section.get("sweep")
    if isinstance(sweep, list) and all(isinstance(text, str) for text in sweep):
        return list(sweep)
    wrong = f"sweep={sweep} is no list of overrides" if "sweep" in section else "sweep is missing"
    has = ", ".join(key for key in section if key not in _JUDGED_BY) or "nothing"
    raise BadInput(
        f"study={study}: {wrong} in its file, which has: {has}. "
        "Write it so: sweep: ['model=scvi,scvi_mine', 'seed=range(5)']"
    )


def settings_of(
    axes: Sequence[Axis], seeds: Sequence[Any], configurations: Configurations
) -> tuple[Settings, dict[str, Any]]:
    """Settings of the launch: one value each, the same for all runs; and what of them was given."""
    for axis in axes:
        for key in axis.keys:
            if axis.swept and (
                key in ("hydra/launcher", "hydra/callbacks", "study") or key.split(".")[0] in SETTINGS
            ):
                raise BadInput(_one_for_all(key, [value[axis.keys.index(key)] for value in axis.values]))
    fixed = dict(assignments(axes, [axis.values[0] for axis in axes]))
    choices, keys = split_choices(fixed)
    composed = configurations.composed(choices)
    plain = copied(composed.plain)
    applied = dict(zip(("seed",), seeds[:1], strict=False))
    for key, value in keys.items():
        if assign(plain, key, value):
            applied[key] = value
        elif key.split(".")[0] in SETTINGS:
            raise configurations.misplaced(key, choices) or configurations.unknown(key, choices)
    settings = {key: plain[key] for key in SETTINGS}
    resolve(settings, composed.finished(applied))
    given = {key: value for key, value in applied.items() if key.split(".")[0] in SETTINGS}
    return checked_settings(settings), given


def checked_settings(settings: Plain) -> Settings:
    """Check plain values; of a launcher from elsewhere nothing is known."""
    launcher = settings["hydra"]["launcher"]
    if not is_ours(launcher):
        launcher = IN_THIS_PROCESS  # what one from elsewhere starts is single runs
    return validated(Settings, settings | {"hydra": {"launcher": launcher}})


def _one_for_all(key: str, values: Sequence[Any]) -> str:
    text = ",".join(map(str, values))
    quoted = "" if "/" in key or key == "study" else f""". As one text: '{key}="{text}"'"""
    return f"{key} cannot be swept: it is one for the whole launch{quoted}"


def amended(stored: Plain, overrides: Sequence[str], configurations: Configurations) -> Settings:
    """Settings of an earlier launch, with what was typed about launcher and site changed.

    Raises
    ------
    BadInput
        Something else was typed, or cannot be read, is unknown or out of range.
    """
    axes = read_axes(for_bie(overrides), configurations.groups)
    choices, keys = split_choices(dict(assignments(axes, [axis.values[0] for axis in axes])))
    for axis in axes:
        for key in axis.keys:
            if axis.swept or key.split(".")[0] not in _HOW:
                raise _unchangeable(key, choices, configurations)
    composed = configurations.composed(choices)
    chosen = copied(composed.plain)
    resolve(chosen, composed.whole)
    stored = {_RENAMED.get(key, key): value for key, value in stored.items()}
    unknown_then = {key: chosen[key] for key in SETTINGS if key not in stored}
    plain = copied(stored) | unknown_then
    plain |= {section: chosen[section] for section in ("hydra", "site") if _names(section, choices)}
    kind = launcher_kind(plain["hydra"]["launcher"])
    then = {"hydra/launcher": kind} if kind in configurations.groups["hydra/launcher"] else {}
    for key, value in keys.items():
        if not assign(plain, key, value):
            here = then | choices
            raise configurations.misplaced(key, here) or configurations.unknown(key, here)
    resolve(plain, OmegaConf.create(plain))
    return validated(Settings, plain)


def _unchangeable(key: str, choices: Mapping[str, str], configurations: Configurations) -> BadInput:
    """Error for a key that says what a run is or where it is kept, or that is no key at all."""
    if key not in GROUPS and configurations.acts_under(key) is None:
        return configurations.unknown(key, choices)
    return BadInput(
        f"{key}: only launcher, site, pack, device, matmul_precision and environment can be changed, "
        "to one value; runs stay as they are"
    )


def _names(section: str, choices: Mapping[str, str]) -> bool:
    return any(group.split("/")[0] == section for group in choices)


def split_choices(assigned: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Split assignments into choices of groups and values of keys."""
    choices = {key: str(value) for key, value in assigned.items() if key in GROUPS}
    return choices, {key: value for key, value in assigned.items() if key not in GROUPS}


def tree_of(settings: Settings) -> Tree:
    """Where the launch writes."""
    return Tree(settings.outputs / settings.version / settings.study.name)


def check_device(settings: Settings) -> None:
    """Raise `BadInput` if the runs are to be on a GPU of this machine, and there is none, or as on one."""
    devices.check_matmul_precision(settings.matmul_precision, settings.device)
    if settings.hydra.launcher.kind != SubmititSlurm.kind:
        devices.check(settings.device)


def check_environment(settings: Settings) -> str | None:
    """A line on packages that are not as in the lock; None where all are, or nobody wants to know.

    Raises
    ------
    BadInput
        There are some, and ``environment=refuse``.
    """
    from bie.store.environment import changed, installed, pinned
    from bie.store.provenance import lock_file

    lock = None if settings.environment == "ignore" else lock_file()
    found = changed(pinned(lock.read_text()), installed()) if lock else []
    if not lock or not found:
        return None
    said = f"not as in {lock.name}: {', '.join(map(str, found))}"
    if settings.environment == "refuse":
        raise BadInput(
            f"environment=refuse: {said}. scripts/setup makes an environment as the lock says; "
            "environment=warn takes this one"
        )
    return f"environment: {said}; numbers may differ in some digits"


def needs_workers(settings: Settings) -> bool:
    """Whether the command itself runs things, in worker processes."""
    launcher = settings.hydra.launcher
    return isinstance(launcher, Local) and launcher.workers != 0


def local_workers(launcher: Local, n_tasks: int) -> int:
    """Worker processes: as many as asked for, or one per core; never more than tasks."""
    return max(1, min(devices.cores() if launcher.workers is None else launcher.workers, n_tasks))
