"""Training with compiled kernels against training on dense tensors, which defines it."""

import copy
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie import kernels
from bie.config import Kl, Model, PenaltySection, Train
from bie.data.cells import Cells, canonical
from bie.kernels import native
from bie.kernels.adam import CompiledAdam
from bie.models.compiled import CompiledScvi, has_kernels
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms
from bie.penalties import build_penalty
from bie.penalties.adversarial import Adversarial
from bie.penalties.base import Penalty
from bie.penalties.mine import Mine
from bie.penalties.mmd import Mmd
from bie.seeds import Streams
from bie.training.batches import dense, minibatches, sparse
from bie.training.compiled import Compiled
from bie.training.critic import critics_of
from bie.training.engine import Engine, engines
from bie.training.optimiser import adam
from bie.training.run import Progress, TrainingRun
from bie.training.stacked import Stacked

pytestmark = pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")

N, G, B = 320, 90, 3
ROWS = np.arange(40)
MODEL = {
    "name": "scvi",
    "n_latent": 4,
    "n_hidden": 24,
    "n_layers": 2,
    "dropout": 0.1,
    "likelihood": "zinb",
    "dispersion": "gene",
    "library": "modelled",
    "batch_covariate": True,
    "encode_covariates": False,
    "deeply_inject_covariates": True,
    "variance_floor": 1e-4,
}
KL = {"mode": "beta", "warmup_epochs": 0, "weight": 1.0, "capacity": 0.0, "gamma": 0.0}
TRAIN = Train.model_validate(
    {"epochs": 2, "lr": 1e-3, "adam_eps": 0.01, "weight_decay": 0.0, "batch_size": 32, "kl": KL}
)

KLS: dict[str, tuple[dict[str, Any], int]] = {
    "beta": ({}, 0),
    "warmup": ({"mode": "warmup", "warmup_epochs": 4}, 1),
    "capacity": ({"mode": "capacity", "capacity": 0.75, "gamma": 3.0}, 0),
}
"""Settings of the KL, and an epoch. Slopes: 1; a quarter; -3 or 3, as the KL crosses the capacity."""

CHOICES: list[dict[str, Any]] = [
    *({"likelihood": name, "library": lib} for name in ("zinb", "nb") for lib in ("modelled", "observed")),
    {"n_layers": 1, "library": "observed", "batch_covariate": False},
    {"n_layers": 3, "dropout": 0.0},
    {"encode_covariates": True},
    {"encode_covariates": True, "deeply_inject_covariates": False},
]
"""Settings with kernels."""

PLAIN: list[dict[str, Any]] = [
    *({"likelihood": name} for name in ("poisson", "gaussian")),
    *({"dispersion": name} for name in ("gene-batch", "gene-label", "gene-cell")),
]
"""Settings without."""


def cells() -> Cells:
    random = np.random.default_rng(0)
    mean = random.lognormal(-1, 1.5, size=G) * random.lognormal(0, 0.5, size=(N, 1))
    counts = canonical(sp.csr_matrix(random.poisson(mean)))
    names = np.arange(N).astype(str), np.arange(G).astype(str)
    return Cells(counts, np.arange(N) % B, tuple("abc"), np.arange(N) // 2 % 4, tuple("wxyz"), *names)


CELLS = cells()


def build(**changed: Any) -> Scvi:
    mean_b, var_b = map(torch.from_numpy, CELLS.library_moments())
    settings = Model.model_validate(MODEL | changed)
    return Scvi(G, B, settings, mean_b, var_b, Streams(0).torch("init"), CELLS.n_labels)


def vector(module: torch.nn.Module) -> torch.Tensor:
    """All its parameters."""
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


class Calls:
    """A model as it is called where there are kernels, or on dense tensors."""

    def __init__(self, model: Scvi, compiled: bool = True, optimiser: CompiledAdam | None = None) -> None:
        self.model = model
        self.fast = CompiledScvi(model, optimiser) if compiled else None

    def terms(self, rows: NDArray[np.int64] = ROWS, seed: int = 0) -> Terms:
        """Of a step."""
        noise = Noise(Streams(seed).torch("noise"))
        if self.fast:
            x_ng, batch_n, _ = sparse(CELLS, rows)
            return self.fast.forward(x_ng, batch_n, noise)
        terms: Terms = self.model(*dense(CELLS, rows)[:2], noise)
        return terms

    @torch.no_grad()
    def evaluate(self, rows: NDArray[np.int64] = ROWS, seed: int = 0) -> Terms:
        if self.fast:
            return self.fast(*sparse(CELLS, rows)[:2], Noise(Streams(seed).torch("noise")))
        return self.terms(rows, seed)

    @torch.no_grad()
    def mean(self, rows: NDArray[np.int64]) -> Tensor:
        if self.fast:
            return self.fast.posterior_mean(*sparse(CELLS, rows)[:2])
        return self.model.posterior_mean(*dense(CELLS, rows)[:2])


def without_kernels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(native, "kernels", lambda: native.Kernels(None, "the plain path"))


def engine(
    model: Scvi,
    penalty: Penalty | None = None,
    compiled: bool = True,
    seed: int = 0,
    settings: Train = TRAIN,
) -> Engine:
    """What trains it where there are kernels, or where there are none."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            without_kernels(patch)
        run = TrainingRun(model, penalty, np.arange(N), ROWS, settings, Streams(seed))
        return engines(CELLS, "cpu")([Progress(run)])


def steps(trains: Engine, rows: list[NDArray[np.int64]], epoch: int, compiled: bool) -> list[list[float]]:
    """Terms of each step on such minibatches, in kernels or without."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            without_kernels(patch)
        found = trains.epoch(np.concatenate(rows)[None], [len(part) for part in rows], epoch)
    of_run: list[list[float]] = found.values[:, :, 0].tolist()
    return of_run


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_the_fast_path_is_taken(changed: dict[str, Any]) -> None:
    assert isinstance(engine(build(**changed)), Compiled)
    x_ng, batch_n, _ = sparse(CELLS, np.arange(5, 9))
    assert len(x_ng) == 4
    assert batch_n.tolist() == CELLS.batch[5:9].tolist()


@pytest.mark.parametrize("changed", PLAIN, ids=str)
def test_what_has_no_kernels_stays_dense(changed: dict[str, Any]) -> None:
    assert not has_kernels(build(**changed))
    assert isinstance(engine(build(**changed)), Stacked)


def test_other_precision_stays_dense() -> None:
    assert isinstance(engine(build().double()), Stacked)


def test_without_kernels_minibatches_are_dense() -> None:
    assert isinstance(engine(build(), compiled=False), Stacked)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_terms_are_those_of_dense_tensors(changed: dict[str, Any], training: bool) -> None:
    found = [Calls(build(**changed).train(training), compiled).evaluate() for compiled in (True, False)]
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
        assert not fast.requires_grad
        assert not plain.requires_grad


def descend(calls: Calls, found: Terms, kl_slope: float) -> list[Tensor]:
    """Gradients by the parameters of a loss that holds something of the latent vectors as well."""
    z_nd, mean_nd = found.z_nd, found.mean_nd
    if calls.fast:
        z_nd, mean_nd = z_nd.detach().requires_grad_(), mean_nd.detach().requires_grad_()
    weight_nd = torch.linspace(-1, 1, z_nd.numel()).view(z_nd.shape)
    of_latent = 3 * ((weight_nd * z_nd.sin()).sum() + (weight_nd * mean_nd.cos()).sum())
    if calls.fast:
        calls.fast.backward(kl_slope, *torch.autograd.grad(of_latent, (z_nd, mean_nd)))
    else:
        parts = found.reconstruction_n + found.kl_library_n + kl_slope * found.kl_z_n
        torch.autograd.backward(parts.mean() + of_latent)
    return [parameter.grad for parameter in calls.model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_gradients_are_those_of_dense_tensors(changed: dict[str, Any]) -> None:
    """Both in single precision; tests/kernels has the comparison with double precision."""
    gradients = []
    for compiled in (True, False):
        model = build(**changed).train()
        calls = Calls(model, compiled)
        gradients.append(descend(calls, calls.terms(), kl_slope=-0.7))
    largest = max(plain.norm() for plain in gradients[1])
    for (name, _), fast, plain in zip(model.named_parameters(), *gradients, strict=True):
        # rounding is all there is of the gradient by what batch norm takes away again
        vanishes = "linears" in name and name.endswith("bias")
        rounding = 2 * torch.finfo(torch.float32).eps * largest * vanishes
        assert (fast - plain).norm() <= 1e-4 * plain.norm() + rounding, name


@pytest.mark.parametrize("training", [True, False])
def test_draws_of_the_library_are_bounded_alike(training: bool) -> None:
    """In terms, and in gradients, where the bound holds back some draws and not others."""
    found, gradients = list[Terms](), list[list[Tensor]]()
    for compiled in (True, False):
        model = build().train(training)
        assert isinstance(model.library, ModelledLibrary)
        last = model.library.encoder.mean
        last.bias.data.fill_(model.library.most)
        calls = Calls(model, compiled)
        found.append(calls.evaluate())
        if training:
            descend(calls, calls.terms(), kl_slope=1.0)
            gradients.append([last.weight.grad, model.decoder.log_theta.grad])  # type: ignore[list-item,union-attr]
    for fast, plain in zip(*found, strict=True):
        assert fast.isfinite().all()
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
    for fast, plain in zip(*gradients, strict=True) if training else ():
        assert (fast - plain).norm() <= 1e-4 * plain.norm()


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_what_learns_on_the_way_learns_by_its_gradient(changed: dict[str, Any]) -> None:
    """The same step by gradients that are all made before the optimiser sees them."""
    at_once, apart = build(**changed).train(), build(**changed).train()
    learners = [adam(model.parameters(), 1e-3, 0.01, weight_decay=0.1) for model in (at_once, apart)]
    assert isinstance(learners[0], CompiledAdam)
    calls = Calls(at_once, optimiser=learners[0]), Calls(apart)
    for seed in range(3):
        both = [call.terms(ROWS[seed:], seed) for call in calls]
        assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))
        for call, found in zip(calls, both, strict=True):
            descend(call, found, kl_slope=1.0)
        learners[1].step()
        assert torch.equal(vector(at_once), vector(apart))
    states = [learner.state_dict() for learner in learners]
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("mean", "square"))
    assert not torch.equal(vector(at_once), vector(build(**changed)))


def test_gradients_are_made_anew_at_each_call() -> None:
    """By numbers of cells that come and go, and with evaluations in between."""
    model, alone = build().train(), build().train()
    calls = Calls(model)
    for rows in (ROWS, ROWS[:7], ROWS[3:]):
        for part in (model, alone):
            part.load_state_dict(build().state_dict())
            part.zero_grad()
        found = descend(calls, calls.terms(rows, seed=1), kl_slope=1.0)
        calls.evaluate(ROWS[:7], seed=2)
        fresh = Calls(alone)
        expected = descend(fresh, fresh.terms(rows, seed=1), kl_slope=1.0)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_embeddings_are_in_memory_of_their_own() -> None:
    calls = Calls(build().eval())
    assert not torch.equal(calls.mean(ROWS), calls.mean(ROWS + 1))


def test_only_the_latest_call_can_be_followed_back() -> None:
    calls = Calls(build().train())
    found = calls.terms()
    calls.evaluate(ROWS[:7])
    with pytest.raises(RuntimeError, match="just before"):
        descend(calls, found, kl_slope=1.0)


def test_embeddings_are_those_of_dense_tensors() -> None:
    for changed in ({}, {"encode_covariates": True}):
        model = build(**changed).eval()
        fast, plain = (Calls(model, compiled).mean(ROWS) for compiled in (True, False))
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
@pytest.mark.parametrize(("kl", "epoch"), KLS.values(), ids=KLS)
def test_trajectories_are_equal_over_twenty_steps(
    changed: dict[str, Any], kl: dict[str, Any], epoch: int
) -> None:
    start, ends, histories = build(**changed), [], []
    settings = TRAIN.model_copy(update={"kl": Kl.model_validate(KL | kl)})
    for compiled in (True, False):
        model = copy.deepcopy(start)
        trains = engine(model, compiled=compiled, settings=settings)
        rows = two_epochs()
        assert len(rows) == 20
        histories.append([step[-1] for step in steps(trains, rows, epoch, compiled)])
        ends.append(vector(model))
    first = vector(start)
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-4 * (ends[0] - first).norm()


def two_epochs(seed: int = 0) -> list[NDArray[np.int64]]:
    """Rows of their minibatches."""
    order = Streams(seed).numpy("minibatch")
    return [part for _ in range(2) for part in minibatches(np.arange(N), 32, order)]


MINE = {
    "scale": 10.0,
    "critic": "separable",
    "n_hidden": 40,
    "n_layers": 2,
    "batch_input": "onehot",
    "latent": "sample",
    "critic_training": "adam",
    "estimator": "dv",
    "lr": 1e-3,
    "steps": 3,
    "ema": 0.1,
    "warm_start": 0,
}
ADVERSARIAL = {
    "scale": 10.0,
    "objective": "reversal",
    "ramp": "constant",
    "n_hidden": 40,
    "n_layers": 2,
    "dropout": 0.0,
    "lr": 1e-3,
    "steps": 3,
}


@pytest.mark.parametrize(
    ("section", "seed"),
    [
        (("mine", Mine.model_validate(MINE)), 0),
        (("mine", Mine.model_validate(MINE | {"latent": "mean"})), 1),  # 0: a gradient is all rounding
        (("adversarial", Adversarial.model_validate(ADVERSARIAL)), 0),
    ],
    ids=["mine, samples", "mine, means", "adversarial"],
)
def test_trajectories_with_a_critic_are_equal_over_twenty_steps(
    section: tuple[str, PenaltySection], seed: int
) -> None:
    ends, starts, histories = [], [], []
    for compiled in (True, False):
        model, penalty = build(), build_penalty(section, 4, B, Streams(seed))
        assert penalty is not None
        starts.append(vector(penalty))
        trains = engine(model, penalty, compiled, seed)
        found = steps(trains, two_epochs(seed), 0, compiled)
        histories.append([value for step in found for value in step])
        ends.append(vector(penalty))
    assert torch.equal(*starts)
    assert histories[0] == pytest.approx(histories[1], rel=1e-4, abs=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-3 * (ends[0] - starts[0]).norm()


MMD = {"scale": 30.0, "estimator": "normal", "bandwidth": "multi", "pairs": "all"}
WITH_KERNELS: dict[str, tuple[str, PenaltySection]] = {
    "mine, samples": ("mine", Mine.model_validate(MINE)),
    "mine, means": ("mine", Mine.model_validate(MINE | {"latent": "mean"})),
    "adversarial": ("adversarial", Adversarial.model_validate(ADVERSARIAL)),
    "mmd": ("mmd", Mmd.model_validate(MMD)),
}


@pytest.mark.parametrize("section", WITH_KERNELS.values(), ids=WITH_KERNELS)
def test_the_kernel_of_a_penalty_is_taken(
    section: tuple[str, PenaltySection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves nothing to autograd."""
    penalty = build_penalty(section, 4, B, Streams(0))
    monkeypatch.setattr(type(penalty), "encoder_loss", lambda *given: pytest.fail("by its definition"))
    trains = engine(build(), penalty)
    steps(trains, [ROWS, ROWS + 40], 0, compiled=True)
    trains.evaluate(ROWS[None])


def test_a_critic_that_goes_back_leaves_nothing_of_what_it_knew() -> None:
    """Its gradient was not finite; that of the encoder's loss in the end is by the critic that stays."""
    diverging = Mine.model_validate(MINE | {"lr": 1e25, "steps": 1})
    penalty = build_penalty(("mine", diverging), 4, B, Streams(0))
    assert penalty is not None
    start = vector(penalty)
    run = Progress(TrainingRun(build(), penalty, ROWS, ROWS, TRAIN, Streams(0)))
    critics = critics_of([run], torch.device("cpu"), alone=True)
    assert critics
    assert critics.kernel
    latent = [torch.randn(40, 4, generator=Streams(0).torch("noise")) for _ in range(2)]
    scored = critics.step(latent[0], latent[1], torch.arange(40) % B, Noise(Streams(0).torch("penalty")))
    assert critics.halvings == 1
    assert scored.loss.isfinite()
    assert scored.grad_z_nd is not None
    assert scored.grad_z_nd.isfinite().all()
    assert torch.equal(vector(penalty), start)
