import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from bie.config import Model, Train
from bie.data.cells import Cells, canonical
from bie.errors import RunFailed
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.penalties.base import Penalty
from bie.seeds import Streams
from bie.training.engine import engines
from bie.training.evaluation import embed, loss_terms
from bie.training.fit import fit
from bie.training.loss import Row
from bie.training.run import History, Progress, TrainingRun

MODEL = {
    "name": "scvi",
    "n_latent": 4,
    "n_hidden": 16,
    "n_layers": 1,
    "dropout": 0.1,
    "likelihood": "zinb",
    "dispersion": "gene",
    "library": "modelled",
    "batch_covariate": True,
    "encode_covariates": False,
    "deeply_inject_covariates": True,
    "variance_floor": 1e-4,
}
KL = {"mode": "warmup", "warmup_epochs": 4, "weight": 1.0, "capacity": 25.0, "gamma": 1000.0}
TRAIN = {"epochs": 3, "lr": 1e-3, "adam_eps": 0.01, "weight_decay": 0.0, "batch_size": 32, "kl": KL}


def types(n: int = 160, g: int = 40) -> Cells:
    """Four clear cell types in two batches."""
    random = np.random.default_rng(0)
    label, batch = np.arange(n) % 4, np.arange(n) // 4 % 2
    profile = random.gamma(0.5, size=(4, g)) * np.exp(random.normal(0, 0.3, size=(2, 1, g)))
    mean = profile[batch, label]
    mean *= 300 * random.lognormal(0, 0.3, size=(n, 1)) / mean.sum(1, keepdims=True)
    return Cells(
        counts=canonical(sp.csr_matrix(random.poisson(mean))),
        batch=batch,
        batches=("a", "b"),
        label=label,
        labels=tuple("wxyz"),
        cell_names=np.arange(n).astype(str),
        gene_names=np.arange(g).astype(str),
    )


CELLS = types()
TRAIN_ROWS, TEST_ROWS = np.arange(100), np.arange(100, 160)


def settings(**changed: Any) -> Train:
    return Train.model_validate(TRAIN | changed)


def build(seed: int = 0, **changed: Any) -> Scvi:
    mean, variance = (torch.from_numpy(moment) for moment in CELLS.library_moments())
    init = Streams(seed).torch("init")
    return Scvi(CELLS.n_genes, 2, Model.model_validate(MODEL | changed), mean, variance, init)


def history_of(
    model: Scvi,
    train: Train,
    penalty: Penalty | None = None,
    seed: int = 0,
    cells: Cells = CELLS,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> History:
    (fitted,) = fit(
        [TrainingRun(model, penalty, TRAIN_ROWS, TEST_ROWS, train, Streams(seed), on_epoch)], cells
    )
    return fitted.finished()


def run(seed: int = 0, penalty: Penalty | None = None, **changed: Any) -> tuple[Scvi, History]:
    model = build(seed)
    return model, history_of(model, settings(**changed), penalty, seed)


class Recorder(Penalty):
    """Notes the calls of the loop; pulls z towards zero, or gives what it is told to."""

    def __init__(self, critic_steps: int = 3, scale: float = 1.0, value: float | None = None) -> None:
        super().__init__()
        self.critic_steps, self.critic_lr = critic_steps, 0.5
        self.centre = torch.nn.Parameter(torch.zeros(()))
        self.scale, self.value = scale, value
        self.calls: list[str] = []
        self.centres: list[float] = []

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        assert not z_nd.requires_grad
        self.calls.append("critic")
        self.centres.append(self.centre.item())
        return (self.centre - 10).square()

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        without = "evaluation" if torch.is_inference_mode_enabled() else "pass without gradient"
        self.calls.append("encoder" if z_nd.requires_grad else without)
        size = z_nd.square().mean() + 0 * self.centre
        term = size if self.value is None else size * 0 + self.value
        return self.scale * term, {"size": term}


# The history


def test_history_names_and_adds_up() -> None:
    _, history = run(penalty=Recorder(scale=2.0))
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["kl_weight"] for row in history] == [0.0, 0.25, 0.5]
    parts = ["reconstruction", "kl_z", "kl_library"]
    names = {f"{side}_{name}" for side in ("train", "test") for name in [*parts, "elbo", "size", "loss"]}
    assert set(history[0]) == names | {"epoch", "kl_weight", "critic_halvings"}
    for row in history:
        for side in ("train", "test"):
            assert row[f"{side}_elbo"] == pytest.approx(
                sum(row[f"{side}_{part}"] for part in parts), rel=1e-6
            )
            rest = sum(row[f"{side}_{part}"] for part in ("reconstruction", "kl_library"))
            rest += row["kl_weight"] * row[f"{side}_kl_z"] + 2 * row[f"{side}_size"]
            assert row[f"{side}_loss"] == pytest.approx(rest, rel=1e-6)


def test_each_row_is_handed_on_as_it_is_made() -> None:
    seen: list[Row] = []
    model = build()
    history = history_of(model, settings(), on_epoch=seen.append)
    assert seen == history
    assert not model.training


def test_averages_are_weighted_by_the_size_of_the_minibatch() -> None:
    """Of one epoch, whose steps an engine tells one by one."""
    one = TrainingRun(build(), None, TRAIN_ROWS, TEST_ROWS, settings(), Streams(0))
    progress = Progress(one)
    parts = progress.minibatches()
    sizes = [len(part) for part in parts]
    assert sizes == [32, 32, 32, 4]
    names, values = engines(CELLS, "cpu")([progress]).epoch(np.concatenate(parts)[None], sizes, 0)
    steps = values[:, names.index("reconstruction"), 0]
    expected = (torch.tensor(sizes) * steps).sum() / 100
    assert run(epochs=1)[1][0]["train_reconstruction"] == pytest.approx(expected.item())


def test_how_often_test_cells_are_looked_at_changes_no_other_number() -> None:
    (model, whole), (same, some) = run(epochs=5, evaluate_every=1), run(epochs=5, evaluate_every=3)
    looked = [any(name.startswith("test_") for name in row) for row in some]
    assert looked == [True, False, True, False, True]
    assert all(row.items() >= part.items() for row, part in zip(whole, some, strict=True))
    assert embed(model, CELLS, TEST_ROWS).tolist() == embed(same, CELLS, TEST_ROWS).tolist()


@pytest.mark.parametrize(("epochs", "looks"), [(1, 1), (2, 2), (20, 20), (100, 26), (250, 26), (400, 26)])
def test_by_itself_a_training_looks_at_test_cells_first_last_and_in_between(epochs: int, looks: int) -> None:
    chosen = settings(epochs=epochs)
    seen = [epoch for epoch in range(epochs) if chosen.looks_at_test_cells(epoch)]
    assert (seen[0], seen[-1], len(seen)) == (0, epochs - 1, looks)


def test_test_terms_are_those_of_the_trained_model() -> None:
    model, history = run()
    terms = loss_terms(model, CELLS, TEST_ROWS, Streams(0))
    assert terms == {name: history[-1][f"test_{name}"] for name in terms}
    assert terms == loss_terms(model, CELLS, TEST_ROWS, Streams(0))  # the same noise again
    assert terms != loss_terms(model, CELLS, TEST_ROWS, Streams(1))


def test_a_bound_that_fails_on_cells_it_has_not_seen_ends_no_run() -> None:
    class Infinite(Recorder):
        def encoder_loss(
            self, z_nd: Tensor, batch_n: Tensor, noise: Noise
        ) -> tuple[Tensor, dict[str, Tensor]]:
            loss, terms = super().encoder_loss(z_nd, batch_n, noise)
            if not torch.is_inference_mode_enabled():
                return loss, terms
            return loss, {"size": terms["size"] - math.inf}

    _, history = run(penalty=Infinite(), epochs=2)
    assert [row["test_size"] for row in history] == [torch.finfo(torch.float32).min] * 2


# Penalty and loop


def test_critic_takes_its_steps_before_each_step_of_the_model() -> None:
    penalty = Recorder(critic_steps=3)
    run(penalty=penalty, epochs=2)
    epoch = (["critic"] * 3 + ["encoder"]) * 4 + ["evaluation"]  # 100 cells are 4 minibatches
    assert penalty.calls == epoch * 2
    assert penalty.centres[:3] == pytest.approx([0.0, 0.5, 1.0], abs=0.02)  # Adam's first steps are lr long


def test_penalty_without_critic() -> None:
    penalty = Recorder(critic_steps=0)
    run(penalty=penalty, epochs=1)
    assert penalty.calls == ["encoder"] * 4 + ["evaluation"]
    assert penalty.centre.item() == 0


def test_penalty_reaches_the_encoder() -> None:
    free, held = (run(penalty=Recorder(scale=scale), epochs=20)[1][-1] for scale in (0.0, 1000.0))
    assert held["train_size"] < 0.5 * free["train_size"]


def test_a_penalty_of_scale_zero_changes_nothing() -> None:
    plain, penalised = run(), run(penalty=Recorder(scale=0.0))
    assert embed(plain[0], CELLS, TEST_ROWS).tolist() == embed(penalised[0], CELLS, TEST_ROWS).tolist()


# Failure


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_term_that_is_not_finite_ends_the_run(value: float) -> None:
    with pytest.raises(RunFailed, match=r"^size is (nan|inf) in epoch 1") as failure:
        run(penalty=Recorder(value=value))
    assert failure.value.cause == "nan"


def test_the_first_bad_term_and_its_epoch_are_named() -> None:
    model = build()

    def break_kl(row: Row) -> None:
        if row["epoch"] == 2:
            model.encoder.mean.bias.data.fill_(1e30)  # its square is infinite in single precision

    with pytest.raises(RunFailed, match=r"^(reconstruction|kl_z) is (inf|nan) in epoch 3"):
        history_of(model, settings(epochs=5), on_epoch=break_kl)


def test_a_test_term_that_is_not_finite_does_not_end_the_run() -> None:
    broken = CELLS.counts.copy()
    broken.data[-1] = np.inf  # of the last cell, which is not among those that train
    cells = Cells(broken, CELLS.batch, CELLS.batches, None, (), CELLS.cell_names, CELLS.gene_names)
    history = history_of(build(), settings(), cells=cells)
    assert all(math.isnan(row["test_reconstruction"]) for row in history)
    assert all(math.isfinite(row["train_reconstruction"]) for row in history)


# Determinism and learning


def test_same_seed_same_bits_other_seed_others() -> None:
    (one, history), (same, same_history), (other, other_history) = run(0), run(0), run(1)
    assert history == same_history
    assert all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), same.state_dict().values(), strict=True)
    )
    assert history != other_history
    assert not torch.equal(one.encoder.mean.weight, other.encoder.mean.weight)


def test_global_random_states_do_not_matter() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    _, one = run(epochs=1)
    torch.manual_seed(6)
    np.random.seed(6)
    assert run(epochs=1)[1] == one


def test_trains_on_one_thread_whatever_was_set_before() -> None:
    seen: list[int] = []
    torch.set_num_threads(2)  # as numba does
    try:
        history_of(build(), settings(epochs=1), on_epoch=lambda row: seen.append(torch.get_num_threads()))
    finally:
        torch.set_num_threads(1)
    assert seen == [1]


def test_learns_to_tell_the_types_apart() -> None:
    def ari(z_nd: NDArray[np.float32]) -> float:
        clusters = KMeans(4, n_init=10, random_state=0).fit_predict(z_nd)
        return float(adjusted_rand_score(CELLS.label[TEST_ROWS], clusters))  # type: ignore[index]

    untrained = ari(embed(build(), CELLS, TEST_ROWS))
    model, history = run(epochs=60, lr=5e-3)
    assert history[-1]["train_elbo"] < 0.8 * history[0]["train_elbo"]
    assert history[-1]["test_elbo"] < 0.8 * history[0]["test_elbo"]
    assert ari(embed(model, CELLS, TEST_ROWS)) > max(0.8, untrained)


def test_embedding_is_in_the_order_asked_for() -> None:
    model = build()
    z = embed(model, CELLS, TEST_ROWS)
    assert z.dtype == np.float32
    assert z.shape == (60, 4)
    np.testing.assert_allclose(embed(model, CELLS, TEST_ROWS[::-1])[::-1], z, rtol=1e-5, atol=1e-6)
