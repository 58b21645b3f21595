"""Training with compiled kernels against training on dense tensors, which defines it."""

import copy
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from bie import kernels
from bie.config import Adversarial, Mine, Model, Train
from bie.data.cells import Cells, canonical
from bie.kernels import native
from bie.kernels.counts import SparseCounts
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.schema import Section
from bie.seeds import Streams
from bie.training.batches import dense, minibatch, minibatches
from bie.training.fit import Trainer

pytestmark = pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")

N, G, B = 320, 90, 3
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


CHOICES: list[dict[str, Any]] = [
    *({"likelihood": name, "library": lib} for name in ("zinb", "nb") for lib in ("modelled", "observed")),
    *({"likelihood": name} for name in ("poisson", "gaussian")),
    *({"dispersion": name} for name in ("gene-batch", "gene-label", "gene-cell")),
    {"likelihood": "nb", "dispersion": "gene-label", "library": "observed"},
    {"encode_covariates": True},
    {"encode_covariates": True, "deeply_inject_covariates": False},
]
"""Settings with and without kernels of their own."""


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


def test_minibatches_are_sparse_and_call_for_the_kernels() -> None:
    x_ng, batch_n, _ = minibatch(CELLS, np.arange(5, 9))
    assert isinstance(x_ng, SparseCounts)
    assert batch_n.tolist() == CELLS.batch[5:9].tolist()
    terms = build()(x_ng, batch_n, Noise(Streams(0).torch("noise")))
    (negation,) = [terms.reconstruction_n.grad_fn]
    assert "LogLikelihood" in negation.next_functions[0][0].name()


def test_other_precision_stays_dense() -> None:
    counts = CELLS.counts.astype(np.float64)
    double = Cells(counts, CELLS.batch, CELLS.batches, None, (), CELLS.cell_names, CELLS.gene_names)
    assert isinstance(minibatch(double, np.arange(4))[0], torch.Tensor)


def test_without_kernels_minibatches_are_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "kernels", lambda: native.Kernels(None, "the plain path"))
    assert isinstance(minibatch(CELLS, np.arange(4))[0], torch.Tensor)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_terms_and_gradients_are_those_of_dense_tensors(changed: dict[str, Any], training: bool) -> None:
    """Both in single precision; tests/kernels has the comparison with double precision."""
    rows, gradients, terms = np.arange(40), [], []
    for form in (minibatch, dense):
        model = build(**changed).train(training)
        x, batch, label = form(CELLS, rows)
        terms.append(model(x, batch, Noise(Streams(0).torch("noise")), label))
        loss = terms[-1].reconstruction_n.mean()
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
    for fast, plain in zip(*terms, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
    largest = max(plain.norm() for plain in gradients[1] if plain is not None)
    for (name, _), fast, plain in zip(model.named_parameters(), *gradients, strict=True):
        assert (fast is None) == (plain is None)
        # rounding is all there is of the gradient by what batch norm takes away again
        vanishes = name.endswith(("linears.0.bias", "linears.1.bias", "encoder.mean.bias"))
        assert fast is None or (fast - plain).norm() <= 1e-4 * plain.norm() + 1e-7 * largest * vanishes, name


def test_embeddings_are_those_of_dense_tensors() -> None:
    for changed in ({}, {"encode_covariates": True}):
        model, rows = build(**changed).eval(), np.arange(40)
        fast, plain = (model.posterior_mean(*form(CELLS, rows)[:2]) for form in (minibatch, dense))
        torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_trajectories_are_equal_over_twenty_steps(changed: dict[str, Any]) -> None:
    start, ends, histories = build(**changed), [], []
    for form in (minibatch, dense):
        model, streams = copy.deepcopy(start), Streams(0)
        trainer, order = Trainer(model, None, TRAIN, streams), streams.numpy("minibatch")
        rows = [part for _ in range(2) for part in minibatches(np.arange(N), 32, order)]
        assert len(rows) == 20
        histories.append([trainer.step(*form(CELLS, part), epoch=0)["loss"] for part in rows])
        ends.append(vector(model))
    first = vector(start)
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-4 * (ends[0] - first).norm()


MINE = {
    "scale": 10.0,
    "critic": "mlp",
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
        steps = [trainer.step(*minibatch(CELLS, part), epoch=0) for part in rows]
        histories.append([value for row in steps for value in row.values()])
        ends.append(vector(penalty))
    assert torch.equal(*starts)
    assert histories[0] == pytest.approx(histories[1], rel=1e-4, abs=1e-5)
    assert (ends[0] - ends[1]).norm() < 1e-3 * (ends[0] - starts[0]).norm()
