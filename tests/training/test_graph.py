"""Steps that are recorded and replayed are the steps as they come: nothing that changes is baked in."""

from functools import partial
from typing import Any

import pytest
import torch

from bie.models import decoder, likelihoods
from bie.planning.compose import Configurations
from bie.seeds import Streams
from bie.training.critic import Critics
from bie.training.draws import Draw, PredrawnNoise, in_blocks, step_by_step
from bie.training.engine import engines
from bie.training.fit import fit
from bie.training.graph import BLOCK, Unrecorded
from bie.training.schedules import KlTerm
from tests.training.packs import cells_of, configs, member
from tests.training.recorder import Operations, recorded
from tests.training.test_pack import Halt, Notebook, equal_weights, members, same

CASES = {
    "kl": ("train.kl.mode=warmup,beta,capacity", "train.kl.warmup_epochs=4", "train.kl.capacity=1.0"),
    "adam": ("train.lr=1e-3,5e-3", "train.weight_decay=0,0.01"),
    "two layers, observed library": ("model.n_layers=2", "model.library=observed", "seed=0,1"),
    "theta for each type": ("model.dispersion=gene-label", "model.encode_covariates=true", "seed=0,1"),
    "nb, theta for each cell": ("model.likelihood=nb", "model.dispersion=gene-cell", "seed=0,1"),
    "poisson": ("model.likelihood=poisson", "seed=0,1"),
    "gaussian": ("model.likelihood=gaussian", "seed=0,1"),
    "mine, a warm start": ("model=scvi_mine", "mine.scale=1,100", "mine.warm_start=1", "mine.ema=0.1"),
    "mine, infonce": ("model=scvi_mine", "mine.estimator=infonce", "seed=0,1"),
    "mine_net": ("model=scvi_mine", "mine.critic=mine_net", "seed=0,1"),
    "mmd": ("model=scvi_mmd", "mmd.scale=1,100"),
    "adversary, a ramp": (
        "model=adversarial",
        "adversarial.ramp=ganin",
        "adversarial.dropout=0.1",
        "seed=0,1",
    ),
    "wrong class": ("model=adversarial", "adversarial.objective=wrong_class", "seed=0,1"),
    "hsic": ("model=scvi_hsic", "hsic.scale=1,100"),
    "a preference": ("model=scvi_mine", "mine.preference=0.6", "seed=0,1"),
    "club": ("model=scvi_club", "club.scale=1,100"),
}


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likelihoods are sums of their plain forms there: on a CPU they look for the non-zero counts."""
    for count in (likelihoods.zinb, likelihoods.nb, likelihoods.poisson):
        summed = partial(lambda count, *args: count(*args).sum(-1), count)
        monkeypatch.setattr(decoder, f"{count.__name__}_of_cell", summed)


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_the_steps_as_they_come(case: str, configurations: Configurations) -> None:
    typed = (*CASES[case], "train.epochs=4")
    (replayed, cells), (plain, _) = members(configurations, *typed), members(configurations, *typed)
    recorder = Operations()
    found = fit(replayed, cells, build=engines(cells, "cpu", recorded(recorder)))
    for one, other, fitted, expected in zip(replayed, plain, found, fit(plain, cells), strict=True):
        same(fitted, expected.history, rel=1e-12)
        equal_weights(one, other, 1e-12)
    assert recorder.n_recorded == 3  # minibatches of 50 and of 20 cells, and the evaluation of 80
    assert recorder.n_replayed == 4 * (3 + 1)


@pytest.mark.parametrize(
    ("owner", "typed"),
    [
        (KlTerm, ("train.kl.mode=warmup", "train.kl.warmup_epochs=4")),
        (KlTerm, ("train.kl.mode=capacity", "train.kl.warmup_epochs=4")),
        (Critics, ("model=adversarial", "adversarial.ramp=ganin")),
        (Critics, ("model=scvi_mine", "mine.warm_start=1")),
    ],
)
def test_a_number_that_is_baked_in_is_found_out(
    owner: Any, typed: tuple[str, ...], configurations: Configurations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else the tests above say nothing: here the numbers of each epoch go to other memory."""
    begin = owner.begin

    def elsewhere(self: object, *args: int) -> None:
        moved = {name: value.clone() for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        vars(self).update(moved)
        if isinstance(self, Critics):
            self.penalty.current_scales = self._current_scales
        begin(self, *args)

    (plain, cells), (baked, _) = members(configurations, *typed), members(configurations, *typed)
    expected = fit(plain, cells)
    monkeypatch.setattr(owner, "begin", elsewhere)
    found = fit(baked, cells, build=engines(cells, "cpu", recorded(Operations())))
    with pytest.raises(AssertionError):
        equal_weights(baked[0], plain[0])
    assert found[0].history[0] == pytest.approx(expected[0].history[0], rel=1e-9)  # when it was recorded


@pytest.mark.parametrize(
    "work",
    [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: torch.randn(3), lambda x: x.nonzero()],
)
def test_the_stand_in_refuses_what_a_gpu_cannot_repeat(work) -> None:
    """Or else the tests above say nothing."""
    x = torch.ones(3)
    with pytest.raises(RuntimeError, match="cannot be recorded"):
        Operations().record(lambda: work(x))


def test_a_critic_goes_back_in_a_replayed_step(configurations: Configurations) -> None:
    critic = "mine.estimator=nwj", "mine.latent=sample", "mine.lr=1e-3,3", "mine.steps=5"
    typed = ("model=scvi_mine", *critic, "seed=0,1", "train.batch_size=128")
    (replayed, cells), (plain, _) = members(configurations, *typed), members(configurations, *typed)
    found = fit(replayed, cells, build=engines(cells, "cpu", recorded(Operations())))
    expected = fit(plain, cells)
    for fitted, other in zip(found, expected, strict=True):
        same(fitted, other.history, rel=1e-12)
    assert max(fitted.history[-1]["critic_halvings"] for fitted in found) > 0


def test_a_run_that_leaves_is_no_part_of_the_next_recording(configurations: Configurations) -> None:
    typed = ("model=scvi_mine", "train.lr=1e-3,1e200,2e-3", "train.epochs=4")
    (replayed, cells), (plain, _) = members(configurations, *typed), members(configurations, *typed)
    recorder = Operations()
    found = fit(replayed, cells, build=engines(cells, "cpu", recorded(recorder)))
    expected = fit(plain, cells)
    assert str(found[1].error) == str(expected[1].error)
    for place in (0, 2):
        same(found[place], expected[place].history, rel=1e-12)
    assert recorder.n_recorded == 6


# Noise in blocks


DRAWS = [Draw("keep", (5, 4), 0.9), Draw("normal", (5, 3)), Draw("permutation", (5,)), Draw("normal", (5, 1))]


def streams(*seeds: int) -> list[torch.Generator]:
    return [Streams(seed).torch("noise") for seed in seeds]


@pytest.mark.parametrize("drawing", [step_by_step, in_blocks])
def test_a_run_draws_the_same_alone_and_in_a_pack(drawing) -> None:
    (alone, together) = (drawing(streams(*seeds), DRAWS, 7) for seeds in ((3,), (0, 3, 8)))
    assert {kind: table.shape for kind, table in together.items()} == {
        "normal": (7, 3, 20),
        "keep": (7, 3, 20),
        "permutation": (7, 3, 5),
    }
    assert all(torch.equal(alone[kind][:, 0], together[kind][:, 1]) for kind in alone)


def test_draws_in_blocks_are_what_they_should_be() -> None:
    draws = [Draw("keep", (50, 40), 0.9), Draw("normal", (50, 30)), Draw("permutation", (50,))]
    tables = in_blocks(streams(0, 1), draws, 200)
    assert set(tables["keep"].unique().tolist()) == {0, 1}
    assert tables["keep"].mean() == pytest.approx(0.9, abs=0.001)
    assert tables["normal"].mean() == pytest.approx(0, abs=0.005)
    assert tables["normal"].std() == pytest.approx(1, abs=0.005)
    order = tables["permutation"]
    assert torch.equal(order.sort(-1).values, torch.arange(50).expand_as(order))
    assert order.float().mean((0, 1)).numpy() == pytest.approx(24.5, abs=3.5)  # each place sees all rows
    assert not torch.equal(*tables["normal"].unbind(1))


def test_noise_is_given_in_the_order_in_which_it_was_drawn() -> None:
    noise = PredrawnNoise(DRAWS, 2, torch.device("cpu"))
    noise.fill(step_by_step(streams(0, 1), DRAWS, 3), 2)
    expected = [step_by_step(streams(0, 1), DRAWS, 3)[draw.kind][2] for draw in DRAWS]
    for _ in range(2):
        keep, first, order, second = (
            noise.rewound().keep((2, 5, 4), 0.9),
            noise.normal((2, 5, 3)),
            noise.permutation(5),
            noise.normal((2, 5, 1)),
        )
        assert torch.equal(keep.flatten(1), expected[0])
        assert torch.equal(torch.cat((first.flatten(1), second.flatten(1)), -1), expected[1])
        assert torch.equal(order, expected[2])


@pytest.mark.parametrize("model", ["scvi", "scvi_mine"])
def test_packs_and_checkpoints_with_noise_in_blocks(model: str, configurations: Configurations) -> None:
    """As on a GPU: a run is the same in any pack, and where it goes on from a state of another."""
    found = configs(configurations, f"model={model}", "seed=0,1,2", "train.batch_size=4")  # 30 steps an epoch
    assert BLOCK < 30
    cells = cells_of(found[0])
    blocks = recorded(Unrecorded(), in_blocks)
    alone = [fit([member(config, cells)], cells, build=engines(cells, "cpu", blocks))[0] for config in found]
    hooks = [Notebook(stop=1), Notebook(), Notebook()]
    runs = [member(config, cells, hook=hook) for config, hook in zip(found, hooks, strict=True)]
    stopped, *packed = fit(runs, cells, build=engines(cells, "cpu", blocks))
    assert isinstance(stopped.error, Halt)
    resumed = member(found[0], cells, hook=Notebook(begin=hooks[0].state))
    packed = [*fit([resumed], cells, build=engines(cells, "cpu", blocks)), *packed]
    for one, other in zip(packed, alone, strict=True):
        same(one, other.history, rel=1e-8)
