"""What tests of packs share: who watches one, and how it is run and read."""

import json
from collections.abc import Callable
from typing import Any

from bie.execution.packs import Pack
from bie.execution.run_spec import Outcome, RunSpec
from bie.execution.worker import execute
from bie.store.record import RECORD

Make = Callable[..., Pack]
"""The runs of a sweep: the name of their folder, then what is typed."""


class Watch:
    """Notes what is said of each run of a pack, by its place there; may stop after an epoch."""

    def __init__(self, pack: Pack, stop_after: int = 10**9) -> None:
        self.place = {spec.folder: place for place, spec in enumerate(pack)}
        self.ends: dict[int, Outcome] = {}
        self.epochs: list[tuple[int, int]] = []
        self._stop_after = stop_after

    def on_epoch(self, spec: RunSpec, epoch: int) -> None:
        self.epochs.append((self.place[spec.folder], epoch))

    def on_end(self, spec: RunSpec, outcome: Outcome) -> None:
        assert self.place[spec.folder] not in self.ends
        self.ends[self.place[spec.folder]] = outcome

    def stop(self) -> bool:
        return bool(self.epochs) and self.epochs[-1][1] >= self._stop_after

    @property
    def statuses(self) -> list[str]:
        return [self.ends[place].status for place in sorted(self.ends)]


def run(pack: Pack, stop_after: int = 10**9, **how: Any) -> Watch:
    watch = Watch(pack, stop_after)
    execute(pack, watch.on_epoch, watch.on_end, watch.stop, **how)
    return watch


def record(spec: RunSpec) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((spec.folder / RECORD).read_text())
    return found
