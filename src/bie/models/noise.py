"""The random draws of models and penalties, from a generator that is handed in."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Noise:
    """Draws of one stream; a model never touches the global generator.

    Parameters
    ----------
    generator
        The stream; the draws live on its device.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Independent standard normal numbers."""
        return torch.randn(tuple(shape), generator=self.generator, device=self.generator.device)

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        """Independent 1 with probability `keep_prob`, else 0: a mask for dropout."""
        uniform = torch.rand(tuple(shape), generator=self.generator, device=self.generator.device)
        return uniform.lt_(keep_prob)

    def permutation(self, n: int) -> Tensor:
        """Random order of the rows 0 to n - 1 (int64)."""
        return torch.randperm(n, generator=self.generator, device=self.generator.device)


class StackedNoise(Noise):
    """Draws of several runs on a leading axis, each run's from its own stream, as it would draw alone.

    Parameters
    ----------
    generators
        A stream for each run, all on one device.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators, self._device = generators, generators[0].device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Independent standard normal numbers, ``(r, ...)``."""
        draws = torch.empty(tuple(shape), device=self._device)
        for of_run, generator in zip(draws, self.generators, strict=True):
            of_run.normal_(generator=generator)
        return draws

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        """Independent 1 with probability `keep_prob`, else 0, ``(r, ...)``."""
        uniform = torch.empty(tuple(shape), device=self._device)
        for of_run, generator in zip(uniform, self.generators, strict=True):
            of_run.uniform_(generator=generator)
        return uniform.lt_(keep_prob)

    def permutation(self, n: int) -> Tensor:
        """A random order of the rows for each run, ``(r, n)`` (int64)."""
        return torch.stack([torch.randperm(n, generator=g, device=self._device) for g in self.generators])


class Replay(Noise):
    """The draws of a stream, which `rewound` gives once more without touching the stream.

    Parameters
    ----------
    noise
        The stream.
    """

    def __init__(self, noise: Noise) -> None:
        self._noise, self._drawn, self._again = noise, list[Tensor](), False

    def rewound(self) -> "Replay":
        """From the first draw on again."""
        self._again = True
        return self

    def normal(self, shape: Sequence[int]) -> Tensor:
        """As `Noise.normal`."""
        return self._next(lambda: self._noise.normal(shape))

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        """As `Noise.keep`."""
        return self._next(lambda: self._noise.keep(shape, keep_prob))

    def permutation(self, n: int) -> Tensor:
        """As `Noise.permutation`."""
        return self._next(lambda: self._noise.permutation(n))

    def _next(self, draw: Callable[[], Tensor]) -> Tensor:
        if self._again:
            return self._drawn.pop(0)
        self._drawn.append(draw())
        return self._drawn[-1]
