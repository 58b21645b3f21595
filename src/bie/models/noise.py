"""The random draws of models and penalties, from a generator that is handed in."""

from collections.abc import Sequence

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

    def keep(self, shape: Sequence[int], share: float) -> Tensor:
        """Independent 1 with probability `share`, else 0: a mask for dropout."""
        uniform = torch.rand(tuple(shape), generator=self.generator, device=self.generator.device)
        return (uniform < share).to(uniform.dtype)

    def permutation(self, n: int) -> Tensor:
        """Random order of the rows 0 to n - 1 (int64)."""
        return torch.randperm(n, generator=self.generator, device=self.generator.device)
