"""The random draws of steps, made before the steps are taken.

A step that is recorded once and then replayed cannot draw: it reads its noise from memory that is filled
before. `DrawRecorder` notes in a dry run what a step draws, and in which order; `PredrawnNoise` hands it out.
It is drawn in one of two ways:

==============  ==========================================================================================
`step_by_step`  each draw of each step as the step itself would make it: the same numbers, in many calls
`in_blocks`     of each stream one draw of each kind for many steps: few calls, and other numbers, which
                are the same for a run alone and in any pack
==============  ==========================================================================================
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bie.models.noise import Noise, StackedNoise

Generators = Sequence[torch.Generator]


class Draw(NamedTuple):
    """A draw of a step.

    Attributes
    ----------
    kind
        Method of `Noise` that makes it, one of `KINDS`.
    shape
        For one run.
    keep_prob
        Of `Noise.keep`.
    """

    kind: str
    shape: tuple[int, ...]
    keep_prob: float = 1.0

    @property
    def size(self) -> int:
        """Numbers of one run."""
        return torch.Size(self.shape).numel()


Tables = dict[str, Tensor]
"""By kind, draws side by side in the order in which they are made: ``(steps, r, numbers)``."""

KINDS = {"normal": torch.float32, "keep": torch.float32, "permutation": torch.int64}


class DrawRecorder(Noise):
    """Notes what a step draws and answers with constants, ``(r, ...)``; touches no stream.

    Parameters
    ----------
    n_runs
        Of the pack.
    device
        Where the answers lie.
    """

    def __init__(self, n_runs: int, device: torch.device) -> None:
        self.draws, self._n_runs, self._place = list[Draw](), n_runs, device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Zeros."""
        self.draws.append(Draw("normal", tuple(shape[1:])))
        return torch.zeros(tuple(shape), device=self._place)

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        """Ones."""
        self.draws.append(Draw("keep", tuple(shape[1:]), keep_prob))
        return torch.ones(tuple(shape), device=self._place)

    def permutation(self, n: int) -> Tensor:
        """Rows in their order."""
        self.draws.append(Draw("permutation", (n,)))
        return torch.arange(n, device=self._place).repeat(self._n_runs, 1)


class PredrawnNoise(Noise):
    """The draws of a step from memory that stays where it is.

    Parameters
    ----------
    draws
        In their order.
    n_runs, device
        As for `DrawRecorder`.

    Attributes
    ----------
    draws
        As given.
    """

    def __init__(self, draws: Sequence[Draw], n_runs: int, device: torch.device) -> None:
        self._memory = {
            kind: torch.zeros(n_runs, size, dtype=KINDS[kind], device=device)
            for kind, size in _sizes(draws).items()
        }
        self.draws, self._views, self._next = draws, _views(draws, self._memory), 0

    def fill(self, tables: Tables, step: int) -> None:
        """Put the draws of a step into the memory."""
        for kind, memory in self._memory.items():
            memory.copy_(tables[kind][step])

    def rewound(self) -> "PredrawnNoise":
        """From the first draw on again."""
        self._next = 0
        return self

    def normal(self, shape: Sequence[int]) -> Tensor:
        """The next draw, and so are the others."""
        return self._take()

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        """See `normal`."""
        return self._take()

    def permutation(self, n: int) -> Tensor:
        """See `normal`."""
        return self._take()

    def _take(self) -> Tensor:
        self._next += 1
        return self._views[self._next - 1]


Drawing = Callable[[Generators, Sequence[Draw], int], Tables]
"""From a stream for each run, the draws of a step and a number of steps, the draws of these steps."""


def step_by_step(generators: Generators, draws: Sequence[Draw], n_steps: int) -> Tables:
    """What so many steps would draw by `StackedNoise`."""
    noise, n_runs, device = StackedNoise(generators), len(generators), generators[0].device
    tables = {
        kind: torch.empty(n_steps, n_runs, size, dtype=KINDS[kind], device=device)
        for kind, size in _sizes(draws).items()
    }
    for step in range(n_steps):
        memory = {kind: table[step] for kind, table in tables.items()}
        for draw, view in zip(draws, _views(draws, memory), strict=True):
            view.copy_(_drawn(noise, draw, n_runs))
    return tables


def in_blocks(generators: Generators, draws: Sequence[Draw], n_steps: int) -> Tables:
    """From each stream one block of numbers of each kind, in the order of `KINDS`, cut into steps and draws.

    Masks are uniform numbers below `keep_prob`; permutations are the orders of uniform numbers.
    """
    sizes = _sizes(draws)
    tables = {kind: _block(kind, generators, n_steps, size) for kind, size in sizes.items()}
    for kind, table in tables.items():
        of_kind = [draw for draw in draws if draw.kind == kind]
        parts = torch.split(table, [draw.size for draw in of_kind], -1)
        if kind == "keep":
            kept = [part < draw.keep_prob for draw, part in zip(of_kind, parts, strict=True)]
            tables[kind] = torch.cat(kept, -1).to(KINDS[kind])
        if kind == "permutation":
            tables[kind] = torch.cat([part.argsort(dim=-1, stable=True) for part in parts], -1)
    return tables


def _block(kind: str, generators: Generators, n_steps: int, size: int) -> Tensor:
    """Normal or uniform numbers, ``(steps, r, size)``."""
    numbers = torch.empty(len(generators), n_steps * size, device=generators[0].device)
    for of_run, generator in zip(numbers, generators, strict=True):
        fill = of_run.normal_ if kind == "normal" else of_run.uniform_
        fill(generator=generator)
    return numbers.view(len(generators), n_steps, size).transpose(0, 1).contiguous()


def _drawn(noise: Noise, draw: Draw, n_runs: int) -> Tensor:
    if draw.kind == "permutation":
        return noise.permutation(*draw.shape)
    shape = n_runs, *draw.shape
    return noise.normal(shape) if draw.kind == "normal" else noise.keep(shape, draw.keep_prob)


def _sizes(draws: Sequence[Draw]) -> dict[str, int]:
    """Numbers of each kind that a run draws in a step, for the kinds that there are."""
    sizes = {kind: sum(draw.size for draw in draws if draw.kind == kind) for kind in KINDS}
    return {kind: size for kind, size in sizes.items() if size}


def _views(draws: Sequence[Draw], memory: Tables) -> list[Tensor]:
    """Each draw, ``(r, ...)``, in memory ``(r, numbers)`` of its kind."""
    starts, views = dict.fromkeys(memory, 0), list[Tensor]()
    for draw in draws:
        start = starts[draw.kind]
        starts[draw.kind] += draw.size
        part = memory[draw.kind][:, start : start + draw.size]
        views.append(part.view(len(part), *draw.shape))
    return views
