"""Where a launch writes, how it runs, and what the rows of its study are judged by."""

import contextlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from bie.config.launchers import Device, Launcher, Line, Local, Site, asks_for_gpu
from bie.schema import Name, Positive, Section


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


class Stop(Section):
    """When a grid point gets no further seeds; see `bie.execution.stopping`."""

    verdict: bool
    half_width: Positive | None
    metric: Line

    @property
    def acts(self) -> bool:
        """Whether anything stops."""
        return self.verdict or self.half_width is not None


def _pack_size(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("must be auto or a number of runs >= 1")


class Settings(Section):
    """Where a launch writes and how it runs; no part of any run's identity."""

    outputs: Path
    version: Name
    pack: Annotated[int | Literal["auto"], BeforeValidator(_pack_size)]
    device: Device
    matmul_precision: Literal["float32", "tf32"]
    environment: Literal["warn", "refuse", "ignore"]
    rerun: Literal["stale"] | None
    study: Study
    stop: Stop
    site: Site
    hydra: Hydra

    @model_validator(mode="before")
    @classmethod
    def _said_device(cls, values: Any) -> Any:
        """A GPU asked for is a GPU used: where nobody says the device, the task's resources do."""
        if not isinstance(values, Mapping) or values.get("device", "") is not None:
            return values
        return {**values, "device": "cuda" if asks_for_gpu(values) else "cpu"}

    def inactive(self) -> dict[str, str]:
        """A site means nothing to processes of this machine."""
        return {"site": "hydra/launcher=local"} if isinstance(self.hydra.launcher, Local) else {}
