"""One seed, many independent named streams of randomness.

Each consumer of randomness (initial weights, minibatch order, latent noise, ...) draws from a stream of
its own, so that a change in one never shifts the draws of another, and no global generator is touched.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SEEDS = ("split_seed", "init_seed", "order_seed", "noise_seed", "cluster_seed")
"""Root keys that hold or vary one source of variance apart from ``seed``; null: it follows ``seed``."""

KEY_OF = {
    "init": "init_seed",
    "penalty init": "init_seed",
    "minibatch": "order_seed",
    "noise": "noise_seed",
    "penalty": "noise_seed",
    "evaluation": "noise_seed",
    "penalty evaluation": "noise_seed",
    "kmeans": "cluster_seed",
}
"""Root key whose seed drives a stream, where it is set; every other stream follows the run's ``seed``."""


class Streams:
    """Independent generators derived by name from one seed, or from one for each source of variance.

    The name is hashed into the spawn key of a `numpy.random.SeedSequence`, whose mixing makes the
    streams independent (O'Neill 2014; NumPy, NEP 19).

    Parameters
    ----------
    seed
        The seed of the run, 0 to 2**32 - 1.
    own
        Seeds by the keys of `KEY_OF` that have one of their own; their streams are those of a run with that
        ``seed``.

    Examples
    --------
    >>> Streams(0).integer("kmeans") == Streams(0).integer("kmeans")
    True
    >>> Streams(0).integer("kmeans") == Streams(0).integer("init")
    False
    >>> Streams(0, {"cluster_seed": 7}).integer("kmeans") == Streams(7).integer("kmeans")
    True
    """

    def __init__(self, seed: int, own: Mapping[str, int] | None = None) -> None:
        self.seed, self.own = seed, dict(own or {})

    def _sequence(self, name: str) -> np.random.SeedSequence:
        digest = hashlib.sha256(name.encode()).digest()
        key = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        seed = self.own.get(KEY_OF.get(name, ""), self.seed)
        return np.random.SeedSequence(seed, spawn_key=key)

    def numpy(self, name: str) -> np.random.Generator:
        """NumPy generator of the stream `name`, at its beginning."""
        return np.random.Generator(np.random.PCG64(self._sequence(name)))

    def torch(self, name: str, device: "str | torch.device" = "cpu") -> "torch.Generator":
        """Torch generator of the stream `name`, at its beginning."""
        import torch

        state = self._sequence(name).generate_state(1, np.uint64)[0]
        return torch.Generator(device=device).manual_seed(int(state) & (2**63 - 1))

    def integer(self, name: str) -> int:
        """32-bit seed of the stream `name`, for libraries that take an integer."""
        return int(self._sequence(name).generate_state(1)[0])
