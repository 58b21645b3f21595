"""MMD and the adversary out of the box, on data whose batch plain scVI leaks into the latent space."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bie.config import Model, RunConfig
from bie.config.penalties import sections
from bie.data.cells import Cells
from bie.data.load import load
from bie.data.split import monte_carlo_split
from bie.errors import BadInput
from bie.experiment import experiment
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.penalties.base import Penalty
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result
from bie.schema import validated
from bie.seeds import Streams
from bie.training.fit import fit
from bie.training.run import History, TrainingRun
from tests.probes import linear

PENALISED = ["scvi_mmd", "adversarial"]
OVERRIDES = (
    "dataset=zinb",
    "dataset.preset=strong",
    "dataset.n_cells=2000",
    "dataset.n_genes=100",
    "model.batch_covariate=false",
    "train=smoke",
    "train.epochs=40",
    "metrics.kmeans.n_init=5",
    "seed=0",
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has it: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(configurations: Configurations, *overrides: str) -> RunConfig:
    return expand(overrides, configurations).combinations[0].config


@pytest.fixture(scope="module")
def results(configurations: Configurations, one_thread: None) -> dict[str, Result]:
    own = {"scvi_mmd": ["mmd.scale=1000"]}  # of 100 genes the likelihood is a few nats: 3000 would drown it
    configs = {
        name: config(configurations, *OVERRIDES, f"model={name}", *own.get(name, []))
        for name in ("scvi", *PENALISED)
    }
    cells = load(configs["scvi"].dataset)
    with pytest.MonkeyPatch.context() as patch:
        linear(patch)
        return {name: experiment(settings, cells, lambda row: None) for name, settings in configs.items()}


def held_out(result: Result, name: str) -> float:
    value = result.metrics["test"][name]
    assert value is not None
    return value


@pytest.mark.parametrize("name", PENALISED)
def test_mixes_the_batches_and_keeps_the_cell_types(results: dict[str, Result], name: str) -> None:
    plain, penalised = results["scvi"], results[name]
    assert held_out(plain, "be_ratio") < 0.3
    assert held_out(penalised, "be_ratio") > 0.75
    assert held_out(penalised, "mi_ross") < 0.5 * held_out(plain, "mi_ross")
    assert held_out(penalised, "ari") > held_out(plain, "ari") - 0.05
    assert held_out(penalised, "reconstruction") < 1.03 * held_out(plain, "reconstruction")


# What the loop and the configuration do for them


class Watched(Penalty):
    """Notes what another penalty is told and what it says."""

    def __init__(self, penalty: Penalty) -> None:
        super().__init__()
        self.penalty, self.critic_steps, self.critic_lr = penalty, penalty.critic_steps, penalty.critic_lr
        self.told: list[float] = []
        self.said: list[tuple[int, dict[str, float]]] = []

    def critic_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> Tensor:
        return self.penalty.critic_loss(z_nd, batch_n, noise)

    def encoder_loss(self, z_nd: Tensor, batch_n: Tensor, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        self.penalty.progress = self.progress
        loss, terms = self.penalty.encoder_loss(z_nd, batch_n, noise)
        self.told.append(self.progress)
        self.said.append((len(z_nd), {name: term.item() for name, term in terms.items()}))
        return loss, terms


@pytest.fixture(scope="module")
def small(configurations: Configurations) -> Cells:
    return load(config(configurations, "dataset.size=smoke", "dataset.n_batches=3").dataset)


def short(settings: RunConfig, cells: Cells) -> tuple[Watched, History]:
    streams = Streams(0)
    mean_b, var_b = map(torch.from_numpy, cells.library_moments())
    assert isinstance(settings.model, Model)
    model = Scvi(cells.n_genes, cells.n_batches, settings.model, mean_b, var_b, streams.torch("init"))
    penalty = build_penalty(settings.penalty, settings.model.n_latent, cells.n_batches, streams)
    assert penalty is not None
    watched = Watched(penalty)
    train, test = monte_carlo_split(cells.n_cells, 0.6, 0)
    (fitted,) = fit([TrainingRun(model, watched, train, test, settings.train, streams)], cells)
    return watched, fitted.finished()


def test_progress_is_the_share_of_the_epochs_that_are_over(
    configurations: Configurations, small: Cells
) -> None:
    watched, _ = short(config(configurations, "model=adversarial", "train.epochs=4"), small)
    # 240 and 160 cells: two minibatches each
    assert watched.told == np.repeat([0, 0.25, 0.5, 0.75], 4).tolist()


def test_history_has_both_norms_of_mmd(configurations: Configurations, small: Cells) -> None:
    """Mean over the steps, weighted by size; and their sum over the number of cells."""
    watched, history = short(config(configurations, "model=scvi_mmd", "train.epochs=1"), small)
    assert [n for n, _ in watched.said] == [128, 112, 128, 32]
    for side, ((n, first), (m, second)) in (("train", watched.said[:2]), ("test", watched.said[2:])):
        mean = (n * first["mmd"] + m * second["mmd"]) / (n + m)
        assert history[0][f"{side}_mmd"] == pytest.approx(mean, rel=1e-6)
        summed = (first["mmd"] + second["mmd"]) / (n + m)
        assert history[0][f"{side}_mmd_per_cell"] == pytest.approx(summed, rel=1e-6)


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=scvi_mmd", "mmd.estimator=fast", "mmd.pairs=all"),
        ("model=adversarial", "adversarial.dropout=0.1", "adversarial.objective=uniform"),
        ("model=adversarial", "adversarial.objective=wrong_class", "adversarial.ramp=constant"),
    ],
)
def test_three_batches_and_twice_the_same(
    configurations: Configurations, small: Cells, overrides: tuple[str, ...]
) -> None:
    settings = config(configurations, *overrides, "train.epochs=2")
    one, same = (short(settings, small)[1] for _ in range(2))
    assert one == same


@pytest.mark.parametrize(
    "overrides",
    [
        *[(name if name == "adversarial" else f"scvi_{name}",) for name in sections()],
        ("scvi_hsic", "hsic.bandwidth=unit"),
        ("scvi_mmd", "mmd.bandwidth=median"),
        ("scvi_mmd", "mmd.estimator=fast"),
        ("scvi_mine", "mine.critic=mine_net"),
        ("scvi_mine", "mine.critic=mine_net", "mine.critic_training=none"),
    ],
    ids=" ".join,
)
def test_a_single_test_cell_may_be_left_over(
    configurations: Configurations, overrides: tuple[str, ...]
) -> None:
    """129 test cells are looked at as 128 and one, of which nothing is to be learned."""
    settings = config(configurations, f"model={overrides[0]}", *overrides[1:])
    penalty = build_penalty(settings.penalty, 5, 2, Streams(0))
    assert penalty is not None
    z_nd, batch_n = torch.randn(1, 5), torch.ones(1, dtype=torch.int64)
    loss, terms = penalty.encoder_loss(penalty.critic_input(z_nd, z_nd), batch_n, Noise(torch.Generator()))
    assert loss.isfinite()
    if not terms.keys() & {"cross_entropy", "reverse_cross_entropy", "barber_agakov"}:  # of the classifier
        assert [value.item() for value in terms.values()] == pytest.approx([0] * len(terms), abs=1e-6)


@pytest.mark.parametrize("name", sections())
def test_a_models_file_brings_its_penalty(configurations: Configurations, name: str) -> None:
    model = name if name == "adversarial" else f"scvi_{name}"
    settings = config(configurations, f"model={model}")
    assert settings.penalty is not None
    assert settings.penalty[0] == name
    assert settings.penalty[1] is getattr(settings, name)
    others = sections().keys() - {name}
    assert not others & settings.scientific().keys()


@pytest.mark.parametrize("name", sections())
def test_a_penalty_with_a_critic_tells_what_that_sees(configurations: Configurations, name: str) -> None:
    """Without it no record could tell that the critic was trained; `bie.metrics.critic_audit`."""
    settings = config(configurations, f"model={name if name == 'adversarial' else f'scvi_{name}'}")
    penalty = build_penalty(settings.penalty, 5, 2, Streams(0))
    assert penalty is not None
    z_nd, batch_n = torch.randn(8, 5), torch.arange(8) % 2
    _, terms = penalty.encoder_loss(penalty.critic_input(z_nd, z_nd), batch_n, Noise(torch.Generator()))
    seen = sections()[name].critic_term
    assert (seen in terms) == bool(list(penalty.parameters()))


def test_plain_scvi_has_no_penalty(configurations: Configurations) -> None:
    assert config(configurations, "model=scvi").penalty is None


def test_two_penalties_are_refused(configurations: Configurations) -> None:
    def plain(model: str) -> dict[str, Any]:
        return config(configurations, f"model={model}").model_dump()

    with pytest.raises(BadInput, match=r"^adversarial, mmd: a model has one penalty"):
        validated(RunConfig, plain("scvi_mmd") | {"adversarial": plain("adversarial")["adversarial"]})


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("mmd.bandwidth=wide", r"mmd\.bandwidth=wide: must be 'unit', 'median' or 'multi'"),
        ("mmd.scale=-1", r"mmd\.scale=-1: .*>= 0"),
        ("mmd.scal=1", r"mmd\.scal is not a setting\. Did you mean mmd\.scale\?"),
        ("adversarial.dropout=1", r"adversarial\.dropout=1: .*>= 0, < 1"),
        ("adversarial.objective=confuse", "'reversal', 'uniform' or 'wrong_class'"),
    ],
)
def test_bad_settings_are_explained(configurations: Configurations, typed: str, says: str) -> None:
    model = "adversarial" if typed.startswith("adversarial") else "scvi_mmd"
    with pytest.raises(BadInput, match=says):
        expand((f"model={model}", typed), configurations)
