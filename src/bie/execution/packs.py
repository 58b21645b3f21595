"""Which runs train together, and how many at once.

A pack is made of runs on the same cells whose tensors have the same shapes at every step: their
configurations are equal but for the seed, the keys in `FREE` and those that the section of their penalty
declares; where each split has genes of its own (`bie.data.hvg`), the split too. What cannot be stacked runs
alone, by `packable`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bie import devices
from bie.config import Model, RunConfig, Settings
from bie.execution.run_spec import RunSpec
from bie.seeds import SEEDS
from bie.store.identity import canonical
from bie.store.record import asked_for

if TYPE_CHECKING:
    from bie.data.cells import Cells
    from bie.experiment import Experiment

Pack = tuple[RunSpec, ...]

FREE = {
    "": ("seed", *SEEDS, "dataset", "metrics", "save"),
    "train": ("lr", "adam_eps", "weight_decay", "kl"),
}
"""Keys, by section, in which runs of a pack may differ, with any penalty. Cells are compared by content."""


NUMBER = 4
"""Bytes of a number on a GPU."""
MATRICES = 40
"""Matrices of cells x genes that a minibatch of one run is reckoned to need at most, gradients included."""
COPIES = 8
"""Copies of a run's parameters: gradient, moments, what a step needs beside them."""


def packable(config: RunConfig) -> bool:
    """Whether a run can share a pack.

    Not so controls, which train nothing here, and penalties that do not declare it.
    """
    _, penalty = config.penalty or ("", None)
    return isinstance(config.model, Model) and (penalty is None or penalty.packs)


def kind(spec: RunSpec) -> str:
    """Equal for runs that can share a pack."""
    plain, penalty = spec.config.model_dump(mode="json"), spec.config.penalty
    free = FREE | ({penalty[0]: penalty[1].free or ()} if penalty else {})
    common: dict[str, Any] = {
        section: _without(free.get(section, ()), values)
        for section, values in plain.items()
        if section not in FREE[""]
    }
    return canonical({**common, "cells": spec.prepared.name})


def _without(free: Sequence[str], values: Any) -> Any:
    return {k: v for k, v in values.items() if k not in free} if isinstance(values, dict) else values


def _is_kept(spec: RunSpec) -> bool:
    """Whether a run is done and trains anew for a file: rounded otherwise, as in a pack, it would differ."""
    return bool(asked_for(spec.config)) and spec.has_record()


def _pack_name(spec: RunSpec, kind: str | None) -> str:
    """Equal for runs that go into one pack; those whose genes depend on the split, by split."""
    if kind is None:
        return str(spec.folder)
    seed = spec.config.own_seeds.get("split_seed", spec.config.seed)
    return kind if getattr(spec.config.dataset, "n_top_genes", None) is None else f"{kind} split of {seed}"


@dataclass(frozen=True)
class Packing:
    """How runs are packed and where they train."""

    size: int | None = 1  # runs that train together; None: as many as a GPU's memory holds, on a CPU one
    device: str = "cpu"  # or ``cuda``, ``auto``
    n_workers: int = 1  # processes that share the machine and its GPU
    cores: int = 1  # what they have of the machine together
    matmul_precision: str = "float32"  # or ``tf32``: of matrices on a GPU

    @classmethod
    def of(cls, settings: Settings, specs: Sequence[RunSpec], n_workers: int, cores: int) -> "Packing":
        """As the settings of a launch have it, with no more workers than there are packs for them.

        On a GPU whose memory says the size of packs there is one worker, unless somebody asked for more: it
        trains as many runs at once as several would, and has all the cores to score them.
        """
        size = None if settings.pack == "auto" else settings.pack
        most = cls(size, settings.device, n_workers, cores, settings.matmul_precision)
        if size is None and most.on_gpu and getattr(settings.hydra.launcher, "workers", None) is None:
            return replace(most, n_workers=1)
        return replace(most, n_workers=max(1, min(n_workers, len(most.packs(specs)))))

    @property
    def on_gpu(self) -> bool:
        """Whether runs train on a GPU of this machine."""
        return self.device != "cpu" and devices.has_cuda()

    @property
    def n_scorers(self) -> int:
        """Runs that a worker scores at a time."""
        return max(1, self.cores // self.n_workers)

    def packs(self, specs: Iterable[RunSpec]) -> list[Pack]:
        """Cut runs into packs, which come in the order of their first runs.

        Where the size is left to a GPU's memory, a worker gets its share of the runs that go together and
        cuts it further (`bie.execution.worker`).
        """
        known = list(specs)
        kinds = self._kinds(known)
        names = [_pack_name(spec, None if _is_kept(spec) else kinds.get(spec.config_id)) for spec in known]
        n_of = Counter(names)
        open_packs: dict[str, list[RunSpec]] = {}
        found: list[list[RunSpec]] = []
        for name, spec in zip(names, known, strict=True):
            if len(open_packs.get(name, ())) in (0, self._most(n_of[name])):
                open_packs[name] = []
                found.append(open_packs[name])
            open_packs[name].append(spec)
        return [tuple(pack) for pack in found]

    def _kinds(self, specs: Sequence[RunSpec]) -> dict[str, str]:
        """`kind` by grid point, whose seeds do not matter to it; of those whose runs can share a pack."""
        if self._most(len(specs)) == 1:
            return {}
        points = {spec.config_id: spec for spec in specs}
        return {point: kind(spec) for point, spec in points.items() if packable(spec.config)}

    def _most(self, n_alike: int) -> int:
        """Runs of a pack, where so many could share one."""
        if self.size is not None:
            return self.size
        return -(-n_alike // self.n_workers) if self.on_gpu else 1


def max_pack_size(run: "Experiment", cells: "Cells", free: float) -> int:
    """How many such runs fit into so many bytes of a GPU, 1 at least, by a generous estimate."""
    from bie.experiment import with_genes

    cells = with_genes(run.config, cells)
    return max(1, int((free - bytes_of_cells(cells)) // bytes_of_run(run, cells)))


def bytes_of_cells(cells: "Cells") -> int:
    """What all the counts take of a device, once for all runs."""
    return NUMBER * cells.n_cells * cells.n_genes


def bytes_of_run(run: "Experiment", cells: "Cells") -> int:
    """What a run is reckoned to take beside the counts."""
    from bie.experiment import split, streams_of
    from bie.methods.trained import Trained

    settings = run.config.model
    assert isinstance(settings, Model)  # controls are not packed
    parts = split(run.config, cells)
    embedder = Trained(settings, run.config.penalty, run.config.train)
    trained = embedder.run(cells, parts["train"], parts["test"], streams_of(run.config), run.on_epoch)
    modules = (trained.model, trained.penalty) if trained.penalty else (trained.model,)
    n_parameters = sum(parameter.numel() for module in modules for parameter in module.parameters())
    width = cells.n_genes + (settings.n_layers + 1) * settings.n_hidden  # masks, of many steps at once
    activations = MATRICES * max(run.config.train.batch_size, 128) * width
    return NUMBER * (COPIES * n_parameters + activations)
