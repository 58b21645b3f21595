"""A step of a pack on a device that is not the CPU: one that computes nothing and forgives nothing.

A tensor of another device is an error there, and so is what has to wait for a number or has a shape that
depends on one. As there is no such device to draw from, the noise is a stand-in. `test_pack_device.py`
runs this.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration

from bie.data.load import load
from bie.models.noise import Noise
from bie.planning.compose import Configurations
from bie.seeds import Streams
from bie.training import stacked
from bie.training.batches import Resident
from bie.training.draws import KINDS, Draw, Generators, Tables
from bie.training.graph import Replays, Unrecorded
from bie.training.run import Progress
from bie.training.stacked import Stacked
from tests.training.packs import configs, member

DEVICE = "npy"
pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch has no stand-in for a device",
)
CASES = {
    "zinb": ("model=scvi", "seed=0,1"),
    "mine": ("model=scvi_mine", "mine.ema=0.01,0.1"),
    "infonce; nb, theta for each cell": (
        *("model=scvi_mine", "mine.estimator=infonce"),
        *("model.likelihood=nb", "model.dispersion=gene-cell", "train.weight_decay=0,0.1"),
    ),
    "mine_net; gaussian": (
        *("model=scvi_mine", "mine.critic=mine_net", "mine.ema=0.01,0.1"),
        *("model.likelihood=gaussian", "model.encode_covariates=true"),
    ),
    "mmd; deep, theta for each batch": (
        *("model=scvi_mmd", "model.n_layers=2"),
        *("model.dispersion=gene-batch", "seed=0,1"),
    ),
    "reversal; observed library, theta for each type": (
        *("model=adversarial", "adversarial.dropout=0.1"),
        *("model.library=observed", "model.dispersion=gene-label", "seed=0,1"),
    ),
    "wrong class; poisson": (
        *("model=adversarial", "adversarial.objective=wrong_class"),
        *("model.likelihood=poisson", "train.kl.mode=warmup,capacity"),
    ),
}
"""What a step can do on the device: each part of a model and each penalty once, a case takes seconds."""


class OnDevice(Noise):
    """Draws of the right shapes on the device."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._n_runs = len(generators)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), device=DEVICE)

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        return torch.ones(tuple(shape), device=DEVICE)

    def permutation(self, n: int) -> Tensor:
        return torch.stack([torch.randperm(n, device=DEVICE) for _ in range(self._n_runs)])


@pytest.fixture(scope="module")
def device() -> None:
    backend_registration._setup_privateuseone_for_python_backend(DEVICE)


@pytest.fixture
def fake(device: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    drawn = Streams.torch
    monkeypatch.setattr(stacked, "StackedNoise", OnDevice)
    monkeypatch.setattr(Streams, "torch", lambda self, name, device="cpu": drawn(self, name))
    # fake tensors have no values to compare; of the constants here the single numbers differ
    monkeypatch.setattr(torch, "equal", lambda one, other: one.numel() > 1)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def drawn(generators: Generators, draws: Sequence[Draw], n_steps: int) -> Tables:
    """Zeros in place of noise, on the device."""
    sizes = {kind: sum(draw.size for draw in draws if draw.kind == kind) for kind in KINDS}
    return {k: torch.zeros(n_steps, len(generators), n, device=DEVICE) for k, n in sizes.items()}


@pytest.mark.parametrize(
    ("case", "from_memory"), [*((case, True) for case in CASES), ("zinb", False), ("mine", False)]
)
def test_an_epoch_stays_on_its_device_and_never_waits(
    case: str, from_memory: bool, configurations: Configurations, request: pytest.FixtureRequest
) -> None:
    found = configs(configurations, *CASES[case])
    cells = load(found[0].dataset)
    runs = [member(config, cells) for config in found]
    under_way = [Progress(run) for run in runs]
    request.getfixturevalue("fake")
    data = Resident.of(cells, DEVICE)
    pack = Stacked(under_way, data, Replays(Unrecorded, drawn) if from_memory else None)
    # two recordings where there are the fewest operations: with a dry run each is two steps
    sizes = [100, 20] if case == "zinb" or not from_memory else [120]
    trained = pack.epoch(np.stack([run.train_rows for run in runs]), sizes, epoch=1)
    evaluated = pack.evaluate(np.stack([run.test_rows for run in runs]))
    for table, n_steps in ((trained, len(sizes)), (evaluated, 1)):
        assert table.values.device.type == DEVICE
        assert table.values.shape == (n_steps, len(table.names), 2)


def test_the_device_forgives_nothing(fake: None) -> None:
    """Or else the tests above say nothing."""
    x = torch.ones(3, device=DEVICE)
    for forbidden in (
        lambda: x + torch.ones(3),
        x.nonzero,
        lambda: float(x.sum()),
        lambda: bool((x > 0).any()),
    ):
        with pytest.raises(Exception, match=r"device|item|_local_scalar_dense|nonzero|is_nonzero"):
            forbidden()
