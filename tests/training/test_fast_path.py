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
from bie.config import Adversarial, Kl, Mine, Mmd, Model, Train
from bie.data.cells import Cells, canonical
from bie.kernels import native
from bie.kernels.counts import SparseCounts
from bie.kernels.gradients import with_gradient
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms
from bie.penalties import build_penalty
from bie.schema import Section
from bie.seeds import Streams
from bie.training.batches import minibatches
from bie.training.critic import PenaltyTrainer
from bie.training.fit import Trainer
from bie.training.forward import Compiled, Forward, called
from bie.training.optimiser import adam

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


def forward(model: Scvi, compiled: bool) -> Forward:
    """The model as it is called where there are kernels and where there are none."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(native, "kernels", lambda: native.Kernels(None, "the plain path"))
        return called(model)


def terms(calls: Forward, rows: NDArray[np.int64] = ROWS, seed: int = 0) -> Terms:
    return calls.terms(calls.take(CELLS, rows), Noise(Streams(seed).torch("noise")))


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_the_fast_path_is_taken(changed: dict[str, Any]) -> None:
    trainer = Trainer(build(**changed), None, TRAIN, Streams(0))
    assert isinstance(trainer.forward, Compiled)
    batch = trainer.forward.take(CELLS, np.arange(5, 9))
    assert isinstance(batch.x_ng, SparseCounts)
    assert batch.batch_n.tolist() == CELLS.batch[5:9].tolist()


@pytest.mark.parametrize("changed", PLAIN, ids=str)
def test_what_has_no_kernels_stays_dense(changed: dict[str, Any]) -> None:
    assert isinstance(called(build(**changed)).take(CELLS, ROWS).x_ng, torch.Tensor)


def test_other_precision_stays_dense() -> None:
    assert isinstance(called(build().double()).take(CELLS, ROWS).x_ng, torch.Tensor)


def test_without_kernels_minibatches_are_dense() -> None:
    assert isinstance(forward(build(), compiled=False).take(CELLS, ROWS).x_ng, torch.Tensor)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_terms_are_those_of_dense_tensors(changed: dict[str, Any], training: bool) -> None:
    models = [build(**changed).train(training) for _ in range(2)]
    calls = [forward(model, compiled) for model, compiled in zip(models, (True, False), strict=True)]
    found = [call.evaluate(call.take(CELLS, ROWS), Noise(Streams(0).torch("noise"))) for call in calls]
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
        assert not fast.requires_grad
        assert not plain.requires_grad


def descend(model: Scvi, calls: Forward, found: Terms, kl_slope: float) -> list[Tensor]:
    """Gradients by the parameters of a loss of which something is left to autograd."""
    weight_nd = torch.linspace(-1, 1, found.z_nd.numel()).view(found.z_nd.shape)
    of_latent = (weight_nd * found.z_nd.sin()).sum() + (weight_nd * found.mean_nd.cos()).sum()
    parts = found.reconstruction_n + found.kl_library_n + kl_slope * found.kl_z_n
    loss = parts.mean() + 3 * of_latent
    if isinstance(calls, Compiled):
        calls.descend(loss, kl_slope)
    else:
        torch.autograd.backward(loss)
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_gradients_are_those_of_dense_tensors(changed: dict[str, Any]) -> None:
    """Both in single precision; tests/kernels has the comparison with double precision."""
    gradients = []
    for compiled in (True, False):
        model = build(**changed).train()
        calls = forward(model, compiled)
        gradients.append(descend(model, calls, terms(calls), kl_slope=-0.7))
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
        calls = forward(model, compiled)
        found.append(calls.evaluate(calls.take(CELLS, ROWS), Noise(Streams(0).torch("noise"))))
        if training:
            descend(model, calls, terms(calls), kl_slope=1.0)
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
    calls = called(at_once, learners[0]), called(apart)
    for seed in range(3):
        by = [call.take(CELLS, ROWS[seed:]) for call in calls]
        both = [c.terms(b, Noise(Streams(seed).torch("noise"))) for c, b in zip(calls, by, strict=True)]
        assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))
        for model, call, found in zip((at_once, apart), calls, both, strict=True):
            descend(model, call, found, kl_slope=1.0)
        learners[1].step()
        assert torch.equal(vector(at_once), vector(apart))
    states = [learner.state_dict() for learner in learners]
    assert all(torch.equal(states[0][name], states[1][name]) for name in ("mean", "square"))
    assert not torch.equal(vector(at_once), vector(build(**changed)))


def test_gradients_are_made_anew_at_each_call() -> None:
    """By numbers of cells that come and go, and with evaluations in between."""
    model, alone = build().train(), build().train()
    calls = forward(model, compiled=True)
    for rows in (ROWS, ROWS[:7], ROWS[3:]):
        for part in (model, alone):
            part.load_state_dict(build().state_dict())
            part.zero_grad()
        found = descend(model, calls, terms(calls, rows, seed=1), kl_slope=1.0)
        calls.evaluate(calls.take(CELLS, ROWS[:7]), Noise(Streams(2).torch("noise")))
        fresh = forward(alone, compiled=True)
        expected = descend(alone, fresh, terms(fresh, rows, seed=1), kl_slope=1.0)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_embeddings_are_in_memory_of_their_own() -> None:
    calls = forward(build().eval(), compiled=True)
    means = calls.posterior_mean(calls.take(CELLS, ROWS)), calls.posterior_mean(calls.take(CELLS, ROWS + 1))
    assert not torch.equal(*means)


def test_only_the_latest_call_can_be_followed_back() -> None:
    model = build().train()
    calls = forward(model, compiled=True)
    found = terms(calls)
    calls.evaluate(calls.take(CELLS, ROWS[:7]), Noise(Streams(0).torch("noise")))
    with pytest.raises(RuntimeError, match="just before"):
        descend(model, calls, found, kl_slope=1.0)


def test_embeddings_are_those_of_dense_tensors() -> None:
    for changed in ({}, {"encode_covariates": True}):
        model = build(**changed).eval()
        fast, plain = (
            calls.posterior_mean(calls.take(CELLS, ROWS))
            for calls in (forward(model, compiled) for compiled in (True, False))
        )
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
@pytest.mark.parametrize(("kl", "epoch"), KLS.values(), ids=KLS)
def test_trajectories_are_equal_over_twenty_steps(
    changed: dict[str, Any], kl: dict[str, Any], epoch: int
) -> None:
    start, ends, histories = build(**changed), [], []
    settings = TRAIN.model_copy(update={"kl": Kl.model_validate(KL | kl)})
    for compiled in (True, False):
        model, streams = copy.deepcopy(start), Streams(0)
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(native, "kernels", lambda: native.Kernels(None, "the plain path"))
            trainer = Trainer(model, None, settings, streams)
        order = streams.numpy("minibatch")
        rows = [part for _ in range(2) for part in minibatches(np.arange(N), 32, order)]
        assert len(rows) == 20
        batches = (trainer.forward.take(CELLS, part) for part in rows)
        histories.append([trainer.step(batch, epoch)["loss"] for batch in batches])
        ends.append(vector(model))
    first = vector(start)
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-4 * (ends[0] - first).norm()


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
    section: tuple[str, Section], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, starts, histories = [], [], []
    for library in (native.kernels(), native.Kernels(None, "the plain path")):
        monkeypatch.setattr(native, "kernels", lambda library=library: library)
        streams = Streams(seed)
        model, penalty = build(), build_penalty(section, 4, B, streams)
        assert penalty is not None
        starts.append(vector(penalty))
        trainer, order = Trainer(model, penalty, TRAIN, streams), streams.numpy("minibatch")
        rows = [part for _ in range(2) for part in minibatches(np.arange(N), 32, order)]
        steps = [trainer.step(trainer.forward.take(CELLS, part), epoch=0) for part in rows]
        histories.append([value for row in steps for value in row.values()])
        ends.append(vector(penalty))
    assert torch.equal(*starts)
    assert histories[0] == pytest.approx(histories[1], rel=1e-4, abs=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-3 * (ends[0] - starts[0]).norm()


MMD = {"scale": 30.0, "estimator": "normal", "bandwidth": "multi", "pairs": "all"}
WITH_KERNELS: dict[str, tuple[str, Section]] = {
    "mine, samples": ("mine", Mine.model_validate(MINE)),
    "mine, means": ("mine", Mine.model_validate(MINE | {"latent": "mean"})),
    "adversarial": ("adversarial", Adversarial.model_validate(ADVERSARIAL)),
    "mmd": ("mmd", Mmd.model_validate(MMD)),
}


@pytest.mark.parametrize("section", WITH_KERNELS.values(), ids=WITH_KERNELS)
def test_what_a_kernel_of_a_penalty_adds_is_what_autograd_finds(
    section: tuple[str, Section], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, rows, graphs = [], [], []
    for knows in (True, False):
        if not knows:
            monkeypatch.setattr(f"bie.penalties.{section[0]}.add_gradient", with_gradient)
        streams = Streams(0)
        model, penalty = build(), build_penalty(section, 4, B, streams)
        trainer = Trainer(model, penalty, TRAIN, streams)
        descend = trainer.forward.descend

        def watched(loss: Tensor, kl_slope: float, descend: Any = descend) -> None:
            graphs.append(loss.requires_grad)
            descend(loss, kl_slope)

        monkeypatch.setattr(trainer.forward, "descend", watched)
        batches = (trainer.forward.take(CELLS, ROWS + start) for start in (0, 40, 80))
        rows.append([trainer.step(batch, epoch=0) for batch in batches])
        ends.append(vector(model))
    assert graphs == [False] * 3 + [True] * 3
    assert rows[0] == rows[1]
    assert torch.equal(*ends)


def test_a_critic_that_goes_back_leaves_nothing_of_what_it_knew() -> None:
    """Its gradient was not finite; that of the encoder's loss in the end is left to autograd."""
    streams = Streams(0)
    diverging = Mine.model_validate(MINE | {"lr": 1e25, "steps": 1})
    penalty = build_penalty(("mine", diverging), 4, B, streams)
    assert penalty is not None
    trainer = PenaltyTrainer(penalty, 2, Noise(streams.torch("penalty")))
    latent = [torch.randn(40, 4, generator=streams.torch("noise")).requires_grad_() for _ in range(2)]
    for part in latent:
        part.grad = torch.zeros_like(part)
    loss, _ = trainer.term(latent[0], latent[1], torch.arange(40) % B)
    assert trainer.halvings == 1
    assert loss.isfinite()
    assert not any(part.grad.any() for part in latent if part.grad is not None)
