"""A critic that diverges goes back and on at half the rate, a few times; then the run ends."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bie.data.load import load
from bie.errors import BadInput, RunFailed
from bie.experiment import Experiment, experiments
from bie.models.noise import Noise
from bie.penalties.base import Penalty
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.training.critic import MOST_HALVINGS, Critics, EncoderLoss
from bie.training.learner import Solo, Start
from bie.training.optimiser import Rule


class Cliff(Penalty):
    """A critic that climbs a slope of 1 and, beyond a height, finds no number."""

    name = "cliff"
    seen: Tensor

    def __init__(self, lr: float, edge: float, steps: int = 1, value: float = math.nan) -> None:
        super().__init__()
        self.critic_lr, self.critic_steps, self.edge, self.value = lr, steps, edge, value
        self.height = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        self.seen += 1
        return -self._value() * self.height

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        term = z_nd.sum() * 0 + self._value() * self.height.detach()
        return 0 * z_nd.sum(), {"term": term.detach()}

    def _value(self) -> float:
        return self.value if self.height.isnan() or self.height > self.edge else 1.0


def critics(
    lr: float = 1.0,
    edge: float = math.inf,
    steps: int = 1,
    value: float = math.nan,
    state: Mapping[str, Any] | None = None,
) -> Critics:
    penalty = Cliff(lr, edge, steps, value)
    if state is None:
        return Critics(Solo(Start(penalty, Rule(lr))), torch.tensor(0), 10)
    penalty.load_state_dict(state["penalty"])
    start = Start(penalty, Rule(lr / 2 ** state["halvings"]), state["optimiser"])
    return Critics(Solo(start), torch.tensor(state["halvings"]), 10)


def minibatch(z: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    return torch.full((4, 2), z), torch.full((4, 2), z), torch.zeros(4, dtype=torch.int64)


def said(training: Critics, z: float = 1.0) -> EncoderLoss:
    return training.step(*minibatch(z), Noise(torch.Generator().manual_seed(0)))


def terms(training: Critics, minibatches: int) -> list[float]:
    """What the encoder is told: the height of the critic."""
    return [round(said(training).terms["term"].item(), 3) for _ in range(minibatches)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_back_and_on_at_half_the_rate(value: float) -> None:
    """Adam's steps on a constant slope are lr long; 3 is too far, so 2 again, then by halves 2.5 and 3."""
    training = critics(edge=2.9, value=value)
    assert terms(training, 6) == [1.0, 2.0, 2.0, 2.5, 2.5, 2.75]
    assert training.history_columns() == {"critic_halvings": 2}


def test_back_to_before_the_minibatch_parameters_and_buffers() -> None:
    training = critics(edge=5.5, steps=4)
    assert terms(training, 3) == [4.0, 4.0, 4.0]  # 8 and 6 are too far
    assert training.penalty.get_buffer("seen") == 4
    assert terms(training, 1) == [5.0]


@pytest.mark.parametrize("bad", [math.nan, 1e30])
def test_it_is_not_blamed_for_a_model_that_diverged(bad: float) -> None:
    """Of 1e30 the square, and with it the KL, is infinite in single precision."""
    training = critics(edge=1e-3)
    for _ in range(2 * MOST_HALVINGS):
        said(training, bad)
    assert training.halvings == 0


def test_goes_on_from_its_state_as_if_nothing_had_been() -> None:
    one = critics(edge=2.9)
    terms(one, 4)
    other = critics(edge=2.9, state=copy.deepcopy(one.run_state(0)))
    assert terms(one, 4) == terms(other, 4)
    assert one.history_columns() == other.history_columns() != {"critic_halvings": 0}


def history(configurations: Configurations, *overrides: str) -> list[dict[str, float]]:
    """Of a run that is trained and not scored."""
    tiny = ("dataset.size=smoke", "train=smoke", "train.epochs=3")
    config = expand((*tiny, *overrides), configurations).combinations[0].config
    (trained,) = experiments([Experiment(config)], load(config.dataset))
    trained.finish()
    return trained.fitted.history


def test_a_mine_critic_sent_to_infinity(configurations: Configurations) -> None:
    """Two minibatches an epoch: the sixth is one too many."""
    with pytest.raises(RunFailed, match=r"^the mine critic diverged in epoch 3, mine\.lr=1e\+25"):
        history(configurations, "model=scvi_mine", "mine.lr=1e25")


def test_nwj_at_a_high_rate_recovers(configurations: Configurations) -> None:
    """Its e^T has no logarithm around it and overflows from a mean of 89 nats on."""
    found = history(configurations, "model=scvi_mine", "mine.estimator=nwj", "mine.lr=3", "mine.n_hidden=16")
    assert found[-1]["critic_halvings"] > 0


def test_the_history_has_the_column_where_there_is_a_critic_that_learns(
    configurations: Configurations,
) -> None:
    columns = {}
    for name, overrides in {
        "scvi": ["model=scvi"],
        "mmd": ["model=scvi_mmd"],
        "mine": ["model=scvi_mine"],
        "untrained": ["model=scvi_mine", "mine.critic_training=none"],
        "adversarial": ["model=adversarial"],
    }.items():
        (row,) = history(configurations, *overrides, "train.epochs=1")
        columns[name] = row.get("critic_halvings")
    assert columns == {"scvi": None, "mmd": None, "untrained": None, "mine": 0, "adversarial": 0}


def test_the_model_trains_without_the_penalty_until_the_warm_start_is_over(
    configurations: Configurations,
) -> None:
    warm, without, whole = (
        [row["test_elbo"] for row in history(configurations, "model=scvi_mine", changed)]
        for changed in ("mine.warm_start=2", "mine.scale=0", "mine.warm_start=0")
    )
    assert warm[:2] == without[:2]
    assert warm[2] != without[2]
    assert warm[:2] != whole[:2]


def test_a_warm_start_that_never_ends_is_refused(configurations: Configurations) -> None:
    with pytest.raises(BadInput, match=r"^mine\.warm_start=3: .*train\.epochs=3"):
        history(configurations, "model=scvi_mine", "mine.warm_start=3")
