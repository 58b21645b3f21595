"""A training that goes on from the state of another, against one that was never interrupted."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from bie import kernels
from bie.config import Model, RunConfig
from bie.data.cells import Cells
from bie.data.load import load
from bie.data.split import monte_carlo_split
from bie.experiment import experiment
from bie.kernels import native
from bie.models.scvi import Scvi
from bie.penalties import build_penalty
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.seeds import Streams
from bie.training.checkpoint import CheckpointHook, State
from bie.training.fit import fit
from bie.training.run import History, TrainingRun

OVERRIDES = (
    "dataset.size=smoke",
    "dataset.n_batches=3",
    "train=smoke",
    "train.epochs=4",
    "train.kl.warmup_epochs=3",
    "metrics.kmeans.n_init=2",
)
CASES = [
    ("model=scvi",),
    ("model=scvi", "model.likelihood=nb", "model.library=observed", "train.kl.mode=capacity"),
    ("model=scvi", "model.n_layers=2", "model.n_hidden=16", "train.weight_decay=1e-3"),
    ("model=scvi_mine", "mine.steps=2"),
    ("model=scvi_mine", "mine.critic=mlp", "mine.steps=2"),
    ("model=scvi_mine", "mine.preference=0.6", "mine.steps=2"),
    ("model=scvi_mmd",),
    ("model=scvi_mmd", "mmd.estimator=fast", "mmd.pairs=all", "mmd.bandwidth=median"),
    ("model=adversarial", "adversarial.dropout=0.2"),
    ("model=adversarial", "adversarial.objective=uniform"),
    ("model=adversarial", "adversarial.objective=wrong_class", "adversarial.ramp=constant"),
]


class Stop(Exception):  # noqa: N818
    """As if the process were to end."""


class OnPaper(CheckpointHook):
    """Keeps the state after an epoch as the bytes of a file."""

    def __init__(self, stop_after: int | None = None, content: bytes | None = None) -> None:
        self.stop_after, self.content, self.epochs = stop_after, content, 0

    def start(self) -> State | None:
        if self.content is None:
            return None
        state: State = torch.load(io.BytesIO(self.content), weights_only=True)
        return state

    def epoch_ended(self, snapshot: Callable[[], State]) -> None:
        self.epochs += 1
        if self.epochs == self.stop_after:
            buffer = io.BytesIO()
            torch.save(snapshot(), buffer)
            self.content = buffer.getvalue()
            raise Stop


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config(configurations: Configurations, *overrides: str) -> RunConfig:
    return expand((*OVERRIDES, *overrides), configurations).combinations[0].config


@pytest.fixture(scope="module")
def cells(configurations: Configurations) -> Cells:
    return load(config(configurations).dataset)


def train(
    settings: RunConfig, cells: Cells, hook: CheckpointHook
) -> tuple[History, dict[str, Any], list[int]]:
    """History, weights of model and penalty, epochs that were run."""
    assert isinstance(settings.model, Model)
    streams, seen = Streams(settings.seed), list[int]()
    mean_b, var_b = map(torch.from_numpy, cells.library_moments())
    model = Scvi(cells.n_genes, cells.n_batches, settings.model, mean_b, var_b, streams.torch("init"))
    penalty = build_penalty(settings.penalty, settings.model.n_latent, cells.n_batches, streams)
    rows = monte_carlo_split(cells.n_cells, 0.6, settings.seed)
    run = TrainingRun(
        model, penalty, *rows, settings.train, streams, lambda row: seen.append(int(row["epoch"])), hook
    )
    (fitted,) = fit([run], cells)
    history = fitted.finished()
    assert not model.training
    return history, {**model.state_dict(), **(penalty.state_dict() if penalty else {})}, seen


def interrupted(settings: RunConfig, cells: Cells, after: int) -> OnPaper:
    hook = OnPaper(stop_after=after)
    with pytest.raises(Stop):
        train(settings, cells, hook)
    return hook


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_goes_on_as_if_nothing_had_happened(
    case: tuple[str, ...],
    compiled: bool,
    configurations: Configurations,
    cells: Cells,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled and not kernels.is_active():
        pytest.skip("no compiled kernels")
    if not compiled:
        monkeypatch.setattr(native, "kernels", lambda: native.Kernels(None, "the plain path"))
    settings = config(configurations, *case)
    history, weights, _ = train(settings, cells, CheckpointHook())
    paper = interrupted(settings, cells, after=1)
    again = OnPaper(stop_after=2, content=paper.content)  # and once more, two epochs later
    with pytest.raises(Stop):
        train(settings, cells, again)
    resumed, resumed_weights, seen = train(settings, cells, OnPaper(content=again.content))
    assert seen == [4]
    assert resumed == history
    assert equal(resumed_weights, weights)


@pytest.mark.parametrize(
    "path",
    [
        ("trained", "model"),
        ("trained", "optimiser"),
        ("trained", "penalty"),
        ("trained", "penalty", "optimiser"),
        ("noise", "noise"),
        ("noise", "penalty"),
        ("order",),
    ],
    ids=".".join,
)
def test_every_part_of_the_state_matters(
    path: tuple[str, ...], configurations: Configurations, cells: Cells
) -> None:
    """With any one of them as it was an epoch earlier, the training takes another way."""
    settings = config(configurations, "model=scvi_mine", "mine.steps=1", "mine.critic=mlp")  # which draws
    history, *_ = train(settings, cells, CheckpointHook())
    early, late = (OnPaper(content=interrupted(settings, cells, n).content).start() for n in (1, 2))
    assert early
    assert late
    mixed = copy.deepcopy(late)
    *folders, name = path
    source, target = early, mixed
    for folder in folders:
        source, target = source[folder], target[folder]
    target[name] = source[name]

    class Mixed(CheckpointHook):
        def start(self) -> State:
            return mixed

    assert train(settings, cells, Mixed())[0] != history


def test_a_state_after_the_last_epoch_leaves_only_the_evaluation(
    configurations: Configurations, cells: Cells
) -> None:
    settings = config(configurations, "model=adversarial")
    whole = experiment(settings, cells, lambda row: None)
    paper = OnPaper(stop_after=4)
    with pytest.raises(Stop):
        experiment(settings, cells, lambda row: None, paper)
    resumed = experiment(settings, cells, lambda row: pytest.fail("trained"), OnPaper(content=paper.content))
    assert resumed.metrics == whole.metrics
    assert resumed.history == whole.history
