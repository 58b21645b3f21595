"""Keys of Hydra's own tree: some mean something here; for the others stands what does."""

from collections.abc import Sequence
from typing import Any

from bie.errors import BadInput
from bie.planning.grammar import key_and_value, unquoted
from bie.planning.keys import dotted

PARAMS = "hydra.sweeper.params."
_FOLDERS = "results go where outputs=, version= and study.name= say"
_LOGS = "what a run did is kept with it: bie logs RUN"
_INSTEAD = {
    "hydra.run": _FOLDERS,
    "hydra.sweep": _FOLDERS,
    "hydra.output_subdir": _FOLDERS,
    "hydra/output": _FOLDERS,
    "hydra.runtime": _FOLDERS,
    "hydra.job.chdir": f"no run changes its folder; {_FOLDERS}",
    "hydra.job.env_set": "variables of jobs are site.environment={NAME: VALUE}",
    "hydra.job.env_copy": "variables of jobs are site.environment={NAME: VALUE}",
    "hydra.job.name": "a study has study.name=, a job hydra.launcher.name=",
    "hydra.job": _FOLDERS,
    "hydra.job_logging": _LOGS,
    "hydra.hydra_logging": _LOGS,
    "hydra/job_logging": _LOGS,
    "hydra/hydra_logging": _LOGS,
    "hydra.verbose": _LOGS,
    "hydra.sweeper.max_batch_size": "how many at a time is hydra.launcher.array_parallelism=",
    "hydra.sweeper": "it has hydra.sweeper.params.KEY=a,b,c",
    "hydra/sweeper": "sweeps are planned by hydra/sweeper=bie alone",
    "hydra.overrides": "they are what is typed",
    "hydra.callbacks": "a group of yours can hold them, --config-dir DIR hydra/callbacks=NAME",
    "hydra.help": "the help is bie run --help",
    "hydra.hydra_help": "the help is bie run --help",
}
"""What has a meaning in place of keys that have none, by their beginnings; the longest counts."""
_READ = ("hydra.searchpath", "hydra.mode")  # before all else, and for that alone


def for_bie(overrides: Sequence[str]) -> list[str]:
    """Overrides without those that only tell where and how to read the others.

    Raises
    ------
    BadInput
        A key of Hydra that has no meaning here; says what has.
    """
    for text in overrides:
        key, value = key_and_value(text)
        found = [name for name in _INSTEAD if key == name or key.startswith(f"{name}.")]
        if found and not key.startswith(PARAMS) and (key, value) != ("hydra/sweeper", "bie"):
            raise BadInput(f"{key} is not a setting here: {_INSTEAD[max(found, key=len)]}")
    return [text for text in overrides if key_and_value(text)[0] not in (*_READ, "hydra/sweeper")]


def searchpath(overrides: Sequence[str]) -> tuple[str, ...]:
    """The override that names further folders with config groups."""
    return tuple(text for text in overrides if key_and_value(text)[0] == "hydra.searchpath")


def is_multirun(overrides: Sequence[str]) -> bool:
    """Whether ``hydra.mode=MULTIRUN`` says what ``-m`` does."""
    return any(key_and_value(text) == ("hydra.mode", "MULTIRUN") for text in overrides)


def params(configured: Any, overrides: Sequence[str]) -> list[str]:
    """Sweeps of ``hydra.sweeper.params``: of the configuration, then those typed, quoted or not.

    Hydra's own sweeper takes them in quotes alone, ``hydra.sweeper.params.seed="range(3)"``.
    """
    typed = [key_and_value(text) for text in overrides if key_and_value(text)[0].startswith(PARAMS)]
    before = [(key, value) for key, value in dotted(configured or {}).items() if not isinstance(value, dict)]
    return [
        *(f"{key}={'null' if value is None else value}" for key, value in before),
        *(unquoted(f"{key.removeprefix(PARAMS)}={text}") for key, text in typed),
    ]


def without_params(overrides: Sequence[str]) -> list[str]:
    """Overrides that are no parameters of the sweeper."""
    return [text for text in overrides if not key_and_value(text)[0].startswith(PARAMS)]
