"""Times as Slurm writes them, and options of ``sbatch`` that have a key here."""

import math
import re
from collections.abc import Collection
from typing import Any

from bie.schema import no_bool

KEYS = {
    "job_name": "name",
    "time": "timeout_min",
    "time_min": "timeout_min",
    "mem": "mem_gb",
    "ntasks": "tasks_per_node",
    "ntasks_per_node": "tasks_per_node",
    "signal": "signal_delay_s",
    "array": "array_parallelism",
    "dependency": "dependency",
    "output": "submitit_folder",
    "error": "stderr_to_stdout",
}
"""Key of the launcher by the option that it sets, where they are named differently or bie sets both."""

OURS = ("requeue", "no_requeue", "open_mode", "kill_on_invalid_dep", "parsable", "wrap", "wait")
"""Options that bie sets, or that would change what it reads back, without a key for them."""

FORMS = "minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes:seconds"


def without_keys(options: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Options of ``sbatch`` as they are, if none of them has a key of its own.

    Parameters
    ----------
    keys
        Keys that are named as the option.
    """
    for option in options:
        name = option.replace("-", "_")
        if name in OURS:
            raise ValueError(f"bie sets --{option} itself; take it out")
        if key := KEYS.get(name, name if name in keys else None):
            raise ValueError(f"--{option} has a key of its own, hydra.launcher.{key}")
    return options


def duration_s(text: str) -> float | None:
    """Seconds of a time with a colon or a dash in it; None for anything else, such as ``UNLIMITED``.

    >>> duration_s("1-02:03:04"), duration_s("9:57"), duration_s("1-12"), duration_s("UNLIMITED")
    (93784.0, 597.0, 129600.0, None)
    """
    found = re.fullmatch(r"(?:(\d+)-(?=\d+))?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None or not set(text) & {":", "-"}:
        return None
    days, *rest = found.groups()
    numbers = [float(part) for part in rest if part is not None]
    # with days the first number is hours; without, two numbers are minutes and seconds
    units = (3600.0, 60.0, 1.0) if days is not None or len(numbers) == 3 else (60.0, 1.0)
    seconds = sum(number * unit for number, unit in zip(numbers, units, strict=False))
    return 86_400.0 * float(days or 0) + seconds


def in_minutes(value: Any) -> Any:
    """Minutes of a time in Slurm's words, rounded up; numbers are minutes already."""
    return _converted(value, 60.0)


def in_seconds(value: Any) -> Any:
    """Seconds of a time in Slurm's words; numbers are seconds already."""
    return _converted(value, 1.0)


def _converted(value: Any, unit: float) -> Any:
    if isinstance(value, str) and set(value) & {":", "-"}:
        seconds = duration_s(value)
        if seconds is None:
            raise ValueError(f"must be a number or a time as Slurm has it: {FORMS}")
        return math.ceil(seconds / unit)
    return no_bool(value)
