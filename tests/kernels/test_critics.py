"""A critic's steps in one call against the steps that define them, in double precision."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from bie.kernels import native
from bie.kernels.adam import CompiledAdam
from bie.models.noise import Noise
from bie.mutual_information.critics import Mlp
from bie.penalties import build_penalty
from bie.penalties.adversarial import Adversarial
from bie.penalties.mine import Mine
from bie.seeds import Streams
from bie.training.critic import Critics
from bie.training.learner import Solo, Start
from bie.training.optimiser import Rule
from bie.training.penalty_kernels import penalty_kernel

N, D = 50, 5
MINE = {
    "scale": 1.0,
    "critic": "separable",
    "n_hidden": 33,
    "n_layers": 2,
    "batch_input": "onehot",
    "latent": "sample",
    "critic_training": "adam",
    "estimator": "dv",
    "lr": 1e-2,
    "steps": 4,
    "ema": 0.1,
    "warm_start": 0,
}
ADVERSARIAL = {
    "scale": 1.0,
    "objective": "reversal",
    "ramp": "constant",
    "n_hidden": 33,
    "n_layers": 2,
    "dropout": 0.0,
    "lr": 1e-2,
    "steps": 4,
}
SECTIONS = {
    "mine": ("mine", Mine.model_validate(MINE)),
    "mine, means": ("mine", Mine.model_validate(MINE | {"latent": "mean"})),
    "mine, no memory": ("mine", Mine.model_validate(MINE | {"ema": 1.0})),
    "mine, one layer": ("mine", Mine.model_validate(MINE | {"n_layers": 1})),
    "adversarial": ("adversarial", Adversarial.model_validate(ADVERSARIAL)),
    "wrong class": ("adversarial", Adversarial.model_validate(ADVERSARIAL | {"objective": "wrong_class"})),
}
BATCHES = {"two": [0, 1] * 25, "one absent, one cell": [0] * 40 + [2] * 9 + [3]}


class Followed(NamedTuple):
    """What came of a minibatch: loss, its gradient by samples and means, zeros where there is none, terms."""

    loss: Tensor
    grad_z_nd: Tensor
    grad_mean_nd: Tensor
    terms: dict[str, Tensor]


class Critic:
    """A penalty in training, in single precision with kernels or in double precision without."""

    def __init__(self, name: str, batches: list[int], exact: bool, lr: float = 1e-2) -> None:
        self.batch_n, self.exact = torch.tensor(batches), exact
        penalty = build_penalty(SECTIONS[name], D, max(batches) + 1, Streams(0))
        assert penalty is not None
        self.penalty = penalty.double() if exact else penalty
        self.begin(lr)

    def begin(self, lr: float) -> None:
        """With an optimiser that knows nothing yet."""
        solo = Solo(Start(self.penalty, Rule(lr, 1e-3)))
        kernel = None if self.exact else penalty_kernel(self.penalty, solo)
        self.critics, self.optimiser = Critics(solo, torch.tensor(0), 1, kernel), solo.optimiser

    def follow(self, z_nd: Tensor) -> Followed:
        """Samples, and means that are something else."""
        dtype = torch.float64 if self.exact else torch.float32
        z_nd, mean_nd = (part.to(dtype) for part in (z_nd, 3 * z_nd.sin() + 7))
        found = self.critics.step(z_nd, mean_nd, self.batch_n, Noise(torch.Generator().manual_seed(1)))
        grad_z_nd, grad_mean_nd = (
            torch.zeros_like(z_nd) if each is None else each for each in (found.grad_z_nd, found.grad_mean_nd)
        )
        return Followed(found.loss, grad_z_nd, grad_mean_nd, found.terms)

    @property
    def vector(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.penalty.parameters()])


def both(name: str, batches: list[int], lr: float = 1e-2) -> tuple[Critic, Critic]:
    return Critic(name, batches, exact=False, lr=lr), Critic(name, batches, exact=True, lr=lr)


def latent(seed: int, n: int = N) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that have been bound."""
    names: list[str] = []

    def listen(kernel: str, *arguments: Any) -> native.Bound:
        names.append(kernel)
        return native.bind(kernel, *arguments)

    monkeypatch.setattr("bie.kernels.critics.bind", listen)
    return names


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
def test_three_minibatches_are_those_of_the_definition(
    name: str, batches: list[int], bound: list[str]
) -> None:
    """Steps, and after them loss, terms and gradients."""
    fast, exact = both(name, batches)
    start = fast.vector
    for seed in range(3):
        found, right = fast.follow(latent(seed)), exact.follow(latent(seed))
        moved = (exact.vector - start).norm()
        assert (fast.vector - exact.vector).norm() < 1e-4 * moved
        torch.testing.assert_close(found.loss.double(), right.loss, rtol=1e-4, atol=1e-5)
        assert found.terms.keys() == right.terms.keys()
        for term in right.terms:
            torch.testing.assert_close(found.terms[term].double(), right.terms[term], rtol=1e-4, atol=1e-5)
        for one, other in ((found.grad_z_nd, right.grad_z_nd), (found.grad_mean_nd, right.grad_mean_nd)):
            assert (one - other).norm() <= 1e-3 * other.norm()
    assert bound == ["mine" if name.startswith("mine") else "classifier"]
    assert isinstance(fast.optimiser, CompiledAdam)
    assert fast.optimiser.rule.n_steps == 12
    for (key, one), other in zip(fast.penalty.named_buffers(), exact.penalty.buffers(), strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4, msg=key)


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_the_judgement_and_its_gradient(name: str, batches: list[int], spread: float) -> None:
    """Of critics with small and with large outputs, which stay as they are."""
    critics = both(name, batches, lr=0.0)
    for critic in critics:
        with torch.no_grad():
            network = next(critic.penalty.children()).network
            assert isinstance(network, Mlp)
            network.layers[-1][0].mul_(spread)
    found, right = (critic.follow(latent(0)) for critic in critics)
    for term in right.terms:
        assert (found.terms[term] - right.terms[term]).abs() < 1e-6 * (1 + spread)
    for one, other in ((found.grad_z_nd, right.grad_z_nd), (found.grad_mean_nd, right.grad_mean_nd)):
        assert (one - other).norm() <= 2e-5 * other.norm()


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
def test_the_judgement_without_gradient(
    name: str, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of cells that nothing learns from; by a kernel where gradients are known as well."""
    called, before = list[str](), Critic(name, batches, exact=True).vector

    def listen(kernel: str, *arguments: Any) -> None:
        called.append(kernel)
        native.call(kernel, *arguments)

    monkeypatch.setattr("bie.kernels.critics.call", listen)
    fast, exact = both(name, batches)
    with torch.no_grad():
        found, right = (
            critic.critics.evaluate(z_nd, 3 * z_nd.sin(), critic.batch_n, Noise(torch.Generator()))
            for critic, z_nd in ((fast, latent(0)), (exact, latent(0).double()))
        )
    torch.testing.assert_close(found[0].double(), right[0], rtol=1e-5, atol=1e-6)
    for term, value in right[1].items():
        torch.testing.assert_close(found[1][term].double(), value, rtol=1e-5, atol=1e-6)
    kernel = ["mine" if name.startswith("mine") else "classifier"]
    assert called == ([] if name == "wrong class" else kernel)
    assert torch.equal(fast.vector.double(), before)


def test_an_estimate_below_0_rests() -> None:
    """No loss, no gradient; the history has the estimate itself."""
    critic = Critic("mine", BATCHES["two"], exact=False, lr=0.0)
    for seed in range(20):  # of a critic that has learned nothing most estimates are
        found = critic.follow(latent(seed))
        if found.terms["mine"] < 0:
            break
    else:
        pytest.fail("no estimate below 0")
    assert found.loss == 0
    assert not found.grad_z_nd.any()


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_the_gradient_of_a_step(name: str) -> None:
    """After one step from rest a tenth of it is the first moment."""
    fast, exact = both(name, BATCHES["one absent, one cell"])
    for critic in (fast, exact):
        critic.penalty.critic_steps = 1
        critic.follow(latent(0))
    by = [parameter.grad for parameter in exact.penalty.parameters() if parameter.grad is not None]
    expected = torch.cat([gradient.flatten() for gradient in by])
    assert isinstance(fast.optimiser, CompiledAdam)
    found = fast.optimiser.state_dict()["mean"] / 0.1
    assert (found - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_numbers_of_cells_that_come_and_go(name: str, bound: list[str]) -> None:
    fast, exact = both(name, BATCHES["two"])
    for seed, n in enumerate((N, 9, N)):
        for critic in (fast, exact):
            critic.batch_n = torch.arange(n) % 2
            critic.follow(latent(seed, n))
    assert (fast.vector - exact.vector).norm() < 1e-4 * exact.vector.norm()
    assert len(bound) == 2


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_a_new_optimiser_takes_over(name: str) -> None:
    """As after a critic has diverged."""
    fast, exact = both(name, BATCHES["two"])
    for critic in (fast, exact):
        critic.follow(latent(0))
    for critic in (fast, exact):
        critic.begin(lr=1e-3)
    before = fast.vector
    for critic in (fast, exact):
        critic.follow(latent(1))
    moved = (exact.vector - before).norm()
    assert (fast.vector - exact.vector).norm() < 1e-3 * moved


@pytest.mark.parametrize("name", ["mine", "adversarial"])
def test_latent_vectors_of_another_width_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="columns for a network of"):
        Critic(name, BATCHES["two"], exact=False).follow(latent(0)[:, :3])


@pytest.mark.parametrize("name", SECTIONS)
def test_what_is_not_finite_is_not_hidden(name: str) -> None:
    critic, z_nd = Critic(name, BATCHES["two"], exact=False), latent(0)
    z_nd[7, 2] = torch.nan
    assert not critic.follow(z_nd).loss.isfinite()
    assert not critic.vector.isfinite().all()
