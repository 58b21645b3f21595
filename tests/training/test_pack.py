"""A pack is its runs, one after the other."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from bie.data.load import load
from bie.errors import RunFailed
from bie.planning.compose import Configurations
from bie.training.checkpoint import CheckpointHook, State
from bie.training.evaluation import embed
from bie.training.fit import fit
from bie.training.run import Fitted, TrainingRun
from tests.training.packs import alone, cells_of, configs, member

PENALTIES = {
    "mine": ("model=scvi_mine", "mine.scale=1,100", "mine.lr=1e-3,3e-3", "seed=0,1"),
    "mine, nwj": ("model=scvi_mine", "mine.estimator=nwj", "mine.ema=0.5", "seed=0,1"),
    "mine, infonce": ("model=scvi_mine", "mine.estimator=infonce", "dataset.n_batches=3", "seed=0,1"),
    "mine, raw batches": ("model=scvi_mine", "mine.batch_input=raw", "mine.ema=0.01,0.1"),
    "mine_net": ("model=scvi_mine", "mine.critic=mine_net", "mine.scale=1,100"),
    "mine_net2": ("model=scvi_mine", "mine.critic=mine_net2", "seed=0,1"),
    "mine_net3": ("model=scvi_mine", "mine.critic=mine_net3", "mine.warm_start=1", "seed=0,1"),
    "mine_net4": ("model=scvi_mine", "mine.critic=mine_net4", "seed=0,1"),
    "mmd": ("model=scvi_mmd", "mmd.scale=1,100", "seed=0,1"),
    "mmd, all pairs": ("model=scvi_mmd", "mmd.pairs=all", "dataset.n_batches=4", "mmd.scale=1,100"),
    "mmd, unit bandwidth": ("model=scvi_mmd", "mmd.bandwidth=unit", "seed=0,1"),
    "reversal": ("model=adversarial", "adversarial.scale=1,100", "adversarial.lr=1e-3,1e-2"),
    "uniform": ("model=adversarial", "adversarial.objective=uniform", "adversarial.dropout=0.1", "seed=0,1"),
    "wrong class": ("model=adversarial", "adversarial.objective=wrong_class", "seed=0,1"),
    "a ramp": ("model=adversarial", "adversarial.ramp=ganin", "seed=0,1"),
    "hsic": ("model=scvi_hsic", "dataset.n_batches=3", "hsic.scale=1,100"),
    "club": ("model=scvi_club", "club.scale=1,100", "club.lr=1e-3,1e-2"),
    "orthogonal": ("model=scvi_orthogonal", "dataset.n_batches=3", "orthogonal.scale=1,100"),
    "a preference": ("model=scvi_mine", "mine.preference=0.6", "seed=0,1"),
    "a preference without critic": ("model=scvi_hsic", "hsic.preference=0.6", "seed=0,1"),
    "reverse cross-entropy": ("model=scvi_rce", "rce.scale=1,100", "rce.lr=1e-3,1e-2"),
}
MODELS = {
    "seeds": ("seed=0,1,2",),
    "optimisation": ("train.lr=1e-3,5e-3", "train.weight_decay=0,0.01", "train.adam_eps=1e-3,0.01"),
    "kl": ("train.kl.mode=warmup,beta,capacity", "train.kl.weight=0.5,1", "train.kl.capacity=1.0"),
    "seen by the encoder": ("model.encode_covariates=true", "model.n_layers=2", "seed=0,1"),
    "unseen by the decoder": ("model.batch_covariate=false", "seed=0,1"),
    "observed library": ("model.library=observed", "seed=0,1"),
    "a leftover cell": ("train.batch_size=17", "seed=0,1"),
    "nb, a theta for each batch": ("model.likelihood=nb", "model.dispersion=gene-batch", "seed=0,1"),
    "zinb, a theta for each type": ("model.dispersion=gene-label", "seed=0,1"),
    "zinb, a theta for each cell": ("model.dispersion=gene-cell", "seed=0,1"),
    "poisson": ("model.likelihood=poisson", "seed=0,1"),
    "gaussian": ("model.likelihood=gaussian", "seed=0,1"),
}
CASES = {**PENALTIES, **MODELS}


def members(configurations: Configurations, *typed: str) -> tuple[list[TrainingRun], Any]:
    found = configs(configurations, *typed)
    cells = cells_of(found[0])
    return [member(config, cells) for config in found], cells


def same(fitted: Fitted, history: list[dict[str, float]], rel: float = 1e-9) -> None:
    assert fitted.error is None
    assert len(fitted.history) == len(history)
    for one, other in zip(fitted.history, history, strict=True):
        assert list(one) == list(other)
        assert one == pytest.approx(other, rel=rel, abs=rel)


def equal_weights(one: TrainingRun, other: TrainingRun, tolerance: float = 1e-9) -> None:
    expected = other.model.state_dict()
    for name, tensor in one.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_a_pack_is_its_runs_alone(case: str, configurations: Configurations) -> None:
    packed, cells = members(configurations, *CASES[case])
    solo, _ = members(configurations, *CASES[case])
    assert len(packed) > 1
    for one, fitted, other in zip(packed, fit(packed, cells), solo, strict=True):
        same(fitted, alone(other, cells))
        equal_weights(one, other)
        assert not one.model.training
        latent, expected = (embed(each.model, cells, each.test_rows) for each in (one, other))
        np.testing.assert_allclose(latent, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("deep", ["true", "false"])
def test_deep_networks(deep: str, configurations: Configurations) -> None:
    typed = ("model.n_layers=3", f"model.deeply_inject_covariates={deep}", "seed=0,1")
    (packed, cells), (solo, _) = members(configurations, *typed), members(configurations, *typed)
    for fitted, other in zip(fit(packed, cells), solo, strict=True):
        same(fitted, alone(other, cells))


# Divergence


def test_critics_go_back_each_for_itself(configurations: Configurations) -> None:
    critic = "mine.estimator=nwj", "mine.latent=sample", "mine.lr=1e-3,3", "mine.steps=5"
    typed = ("model=scvi_mine", *critic, "seed=0,1", "train.batch_size=128")
    (packed, cells), (solo, _) = members(configurations, *typed), members(configurations, *typed)
    halvings = []
    for one, fitted, other in zip(packed, fit(packed, cells), solo, strict=True):
        same(fitted, alone(other, cells), rel=1e-7)
        equal_weights(one, other, 1e-7)
        halvings.append(fitted.history[-1]["critic_halvings"])
    assert max(halvings) > 0 == min(halvings)


def failure(run: TrainingRun, cells: Any) -> RunFailed:
    with pytest.raises(RunFailed) as failed:
        alone(run, cells)
    return failed.value


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("model=scvi", "train.lr=1e-3,1e200"), "in epoch"),
        (("model=scvi_mine", "mine.lr=1e-3,1e200"), "the mine critic diverged in epoch 2"),
    ],
)
def test_a_run_that_diverges_fails_as_it_would_alone(
    typed: tuple[str, ...], says: str, configurations: Configurations
) -> None:
    (packed, cells), (solo, _) = members(configurations, *typed), members(configurations, *typed)
    good, bad = fit(packed, cells)
    same(good, alone(solo[0], cells))
    assert isinstance(bad.error, RunFailed)
    expected = failure(solo[1], cells)
    assert (bad.error.cause, str(bad.error)) == (expected.cause, str(expected))
    assert bad.error.__traceback__ is None, "its frames would keep the tensors of the pack"
    assert any(", in _book" in note for note in bad.error.__notes__)
    assert says in str(expected)


@pytest.mark.parametrize(("place", "model"), [(0, "scvi"), (1, "scvi_mine"), (2, "adversarial")])
def test_neighbours_of_a_run_that_diverges_do_not_notice(
    place: int, model: str, configurations: Configurations
) -> None:
    """To the last bit, in single precision: against the same pack with a healthy run in its place."""
    rates, cells = ["1e-3", "2e-3"], load(configs(configurations)[0].dataset)
    typed = [f"model={model}", "seed=3,4"]
    healthy, ill = ([*rates[:place], lr, *rates[place:]] for lr in ("1.5e-3", "1e30"))
    found = []
    for lrs in (healthy, ill):
        runs = [
            member(config, cells)
            for lr in lrs
            for config in configs(configurations, *typed, f"train.lr={lr}")
        ]
        found.append((runs, fit(runs, cells)))
    errors = [fitted.error is not None for fitted in found[1][1]]
    assert errors == [i // 2 == place for i in range(6)]
    for (one, fitted), (other, expected) in zip(*(zip(*each, strict=True) for each in found), strict=True):
        if expected.error is None:
            assert fitted.history == expected.history
            states = (each.model.state_dict().values() for each in (one, other))
            assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_the_cell_that_breaks_the_evaluation_breaks_the_runs_that_train_on_it_alone(
    configurations: Configurations,
) -> None:
    runs, cells = members(configurations, "seed=0,1")
    row = next(r for r in runs[0].test_rows if r in runs[1].train_rows)
    cells.counts.data[cells.counts.indptr[row]] = math.inf
    held_out, trained = fit(runs, cells)
    assert held_out.error is None
    assert all(math.isnan(row["test_reconstruction"]) for row in held_out.history)
    assert str(trained.error).startswith("reconstruction is nan in epoch 1")


# Stopping and going on


class Halt(Exception):  # noqa: N818
    """Asked to stop."""


class Notebook(CheckpointHook):
    """Keeps the state of an epoch and stops there; starts from what it is given."""

    def __init__(self, stop: int | None = None, begin: State | None = None) -> None:
        self.stop, self.state, self.epochs = stop, begin, 0

    def start(self) -> State | None:
        return self.state

    def epoch_ended(self, snapshot: Any) -> None:
        self.epochs += 1
        if self.epochs == self.stop:
            self.state = copied(snapshot())
            raise Halt


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value.clone() if isinstance(value, torch.Tensor) else value


MINE = ("model=scvi_mine", "mine.scale=1,100")


@pytest.mark.parametrize("kernels", ["", "torch"])
@pytest.mark.parametrize("typed", [MINE, ("model=scvi_mmd", "seed=0,1")])
def test_a_run_goes_from_pack_to_solo_and_back(
    typed: tuple[str, ...], kernels: str, configurations: Configurations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIE_KERNELS", kernels)
    found = configs(configurations, *typed)
    cells = cells_of(found[0])
    whole = [alone(member(config, cells), cells) for config in found]

    first = [Notebook(stop=1) for _ in found]
    stopped = fit([member(c, cells, hook=k) for c, k in zip(found, first, strict=True)], cells)
    assert all(isinstance(each.error, Halt) for each in stopped)
    second = Notebook(stop=1, begin=first[0].state)
    with pytest.raises(Halt):
        alone(member(found[0], cells, hook=second), cells)
    states = second.state, first[1].state  # after two epochs and after one
    last = fit([member(c, cells, hook=Notebook(begin=s)) for c, s in zip(found, states, strict=True)], cells)
    for fitted, history in zip(last, whole, strict=True):
        same(fitted, history, rel=1e-8)


def test_a_run_that_is_stopped_leaves_the_others_to_go_on(configurations: Configurations) -> None:
    found = configs(configurations, *MINE)
    cells = cells_of(found[0])
    hooks = [Notebook(), Notebook(stop=2)]
    fitted = fit([member(c, cells, hook=k) for c, k in zip(found, hooks, strict=True)], cells)
    assert fitted[0].error is None
    assert (len(fitted[0].history), len(fitted[1].history)) == (3, 2)


def test_each_row_is_handed_on_as_it_is_made(configurations: Configurations) -> None:
    (config, *_) = configs(configurations)
    seen: list[dict[str, float]] = []
    cells = cells_of(config)
    (fitted,) = fit([member(config, cells, seen.append)], cells)
    assert seen == fitted.history
    assert len(seen) == 3
