"""Where a launch writes and how it runs."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bie.schema import Int, Name, Section


class Local(Section):
    """Launcher: worker processes of one thread each; 0 workers run everything in the calling process."""

    workers: Annotated[Int, Field(ge=0, le=4096)] | None


class Hydra(Section):
    """The part of Hydra's own tree that bie reads."""

    launcher: Local


class Study(Section):
    """Name of the study and the sweep it stands for, as override texts."""

    name: Name
    sweep: tuple[str, ...]


class Settings(Section):
    """Where a launch writes and how it runs; no part of any run's identity."""

    outputs: Path
    version: Name
    study: Study
    hydra: Hydra
