"""A critic that diverges goes back and on at half the rate, a few times; then the run ends."""

import math

import pytest
import torch
from torch import Tensor, nn

from bie.data.load import load
from bie.errors import BadInput, RunFailed
from bie.experiment import Result, experiment
from bie.models.noise import Noise
from bie.penalties.base import Penalty
from bie.sweep.compose import Configurations
from bie.sweep.expand import expand
from bie.training.critic import MOST_HALVINGS, PenaltyTrainer


class Cliff(Penalty):
    """A critic that climbs a slope of 1 and, beyond a height, finds no number."""

    name = "cliff"
    seen: Tensor

    def __init__(self, lr: float, edge: float, steps: int = 1, value: float = math.nan) -> None:
        super().__init__()
        self.critic_lr, self.critic_steps, self.edge, self.value = lr, steps, edge, value
        self.height = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.encoder_edge = math.inf

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        self.seen += 1
        return z_nd.sum() * 0 - (self.value if self.height > self.edge else 1) * self.height

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        term = z_nd.sum() * 0 + (math.nan if self.height > self.encoder_edge else self.height.item())
        return term, {"term": term.detach()}


def trainer(penalty: Penalty) -> PenaltyTrainer:
    return PenaltyTrainer(penalty, 10, Noise(torch.Generator().manual_seed(0)))


def minibatch() -> tuple[Tensor, Tensor]:
    return torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)


def heights(training: PenaltyTrainer, minibatches: int) -> list[float]:
    found = []
    for _ in range(minibatches):
        training.term(*minibatch())
        found.append(round(training.penalty.get_parameter("height").item(), 3))
    return found


def test_back_to_the_last_good_parameters_and_on_at_half_the_rate() -> None:
    """Adam's steps on a constant slope are lr long: 1, 2, 3, then off the edge at 2.5."""
    training = trainer(Cliff(lr=1.0, edge=2.5))
    assert heights(training, 5) == [1.0, 2.0, 3.0, 2.0, 2.5]
    assert training.halvings == 1
    assert training.optimiser.param_groups[0]["lr"] == 0.5
    assert training.facts() == {"critic_halvings": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_whatever_is_not_finite(value: float) -> None:
    training = trainer(Cliff(lr=1.0, edge=0.5, value=value))
    assert heights(training, 3) == [1.0, 0.0, 0.5]


def test_within_a_minibatch_it_goes_back_to_its_beginning() -> None:
    training = trainer(Cliff(lr=1.0, edge=1.5, steps=4))
    training.term(*minibatch())  # 1, 2, back to 0, 0.5
    assert training.penalty.get_parameter("height").item() == pytest.approx(0.5)


def test_buffers_go_back_too() -> None:
    training = trainer(Cliff(lr=1.0, edge=1.5))
    heights(training, 3)
    assert training.penalty.get_buffer("seen") == 2  # as of the last finite loss


def test_the_encoder_never_meets_a_diverged_critic() -> None:
    penalty = Cliff(lr=1.0, edge=math.inf)
    penalty.encoder_edge = 1.5
    training = trainer(penalty)
    terms = [training.term(*minibatch())[1]["term"].item() for _ in range(4)]
    assert terms == pytest.approx([1, 1, 1.5, 1.5])  # 2 and then 2 again were beyond the edge


def test_at_most_a_few_times_then_the_run_ends() -> None:
    training = trainer(Cliff(lr=1.0, edge=-1.0))
    training.begin(6)
    for _ in range(MOST_HALVINGS):
        training.term(*minibatch())
    says = (
        r"^the cliff critic diverged in epoch 7, cliff\.lr=1 and halved 5 times: a lower cliff\.lr may help"
    )
    with pytest.raises(RunFailed, match=says) as failure:
        training.term(*minibatch())
    assert failure.value.cause == "nan"


@pytest.mark.parametrize("bad", [math.nan, 1e30])
def test_it_is_not_blamed_for_a_model_that_diverged(bad: float) -> None:
    """Of 1e30 the square, and with it the KL, is infinite in single precision."""
    training = trainer(Cliff(lr=1.0, edge=-1.0))
    for _ in range(2 * MOST_HALVINGS):
        training.term(torch.full((4, 2), bad), minibatch()[1])
    assert training.halvings == 0


def run(configurations: Configurations, *overrides: str) -> Result:
    tiny = ("dataset.size=smoke", "train=smoke", "train.epochs=3", "metrics.kmeans.n_init=2")
    config = expand((*tiny, *overrides), configurations).combinations[0].config
    return experiment(config, load(config.dataset), lambda row: None)


def test_a_mine_critic_sent_to_infinity(configurations: Configurations) -> None:
    with pytest.raises(RunFailed, match=r"^the mine critic diverged in epoch 1, mine\.lr=1e\+25"):
        run(configurations, "model=scvi_mine", "mine.lr=1e25")


def test_nwj_at_a_high_rate_recovers(configurations: Configurations) -> None:
    """Its e^T has no logarithm around it and overflows from a mean of 89 nats on."""
    result = run(configurations, "model=scvi_mine", "mine.estimator=nwj", "mine.lr=3", "mine.n_hidden=16")
    assert [row["critic_halvings"] for row in result.history][-1] > 0


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
        history = run(configurations, *overrides, "train.epochs=1").history
        columns[name] = history[0].get("critic_halvings")
    assert columns == {"scvi": None, "mmd": None, "untrained": None, "mine": 0, "adversarial": 0}


def test_the_model_trains_without_the_penalty_until_the_warm_start_is_over(
    configurations: Configurations,
) -> None:
    warm, without, whole = (
        [row["test_elbo"] for row in run(configurations, "model=scvi_mine", changed).history]
        for changed in ("mine.warm_start=2", "mine.scale=0", "mine.warm_start=0")
    )
    assert warm[:2] == without[:2]
    assert warm[2] != without[2]
    assert warm[0] != whole[0]


def test_a_warm_start_that_never_ends_is_refused(configurations: Configurations) -> None:
    with pytest.raises(BadInput, match=r"^mine\.warm_start=3: .*train\.epochs=3"):
        run(configurations, "model=scvi_mine", "mine.warm_start=3")
