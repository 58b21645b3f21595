import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bie.models.layers import Linear
from bie.models.noise import Noise
from bie.penalties import build_penalty
from bie.penalties.adversarial import Adversarial, AdversarialPenalty
from bie.seeds import Streams

SETTINGS = {
    "scale": 7.0,
    "objective": "reversal",
    "ramp": "constant",
    "n_hidden": 16,
    "n_layers": 2,
    "dropout": 0.0,
    "lr": 1e-3,
    "steps": 5,
}
OBJECTIVES = ["reversal", "uniform", "wrong_class"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As a worker has it: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(seed: int = 0) -> Noise:
    return Noise(torch.Generator().manual_seed(seed))


def build(n_batches: int = 3, n_latent: int = 4, seed: int = 0, **changes: Any) -> AdversarialPenalty:
    settings = Adversarial.model_validate(SETTINGS | changes)
    penalty = build_penalty(("adversarial", settings), n_latent, n_batches, Streams(seed))
    assert isinstance(penalty, AdversarialPenalty)
    return penalty


def minibatch(n_batches: int = 3, n: int = 12) -> tuple[Tensor, Tensor]:
    """The first batch has half of the cells."""
    z_nd = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return z_nd.requires_grad_(), (torch.arange(n) % (2 * (n_batches - 1)) - n_batches + 2).clamp_min(0)


def gradient(penalty: AdversarialPenalty, z_nd: Tensor, batch_n: Tensor) -> Tensor:
    return torch.autograd.grad(penalty.encoder_loss(z_nd, batch_n, noise())[0], z_nd)[0]


def explicit(penalty: AdversarialPenalty, z_nd: Tensor, batch_n: Tensor, target: str) -> Tensor:
    """Cross-entropy cell by cell, then the mean of the batches' means."""
    means = []
    for code in sorted(set(batch_n.tolist())):
        cells = []
        for z_1d in z_nd[batch_n == code].split(1):
            log_p = penalty.classifier(z_1d)[0]
            wrong = [log_p[other] for other in range(penalty.n_batches) if other != code]
            answers = {"true": [log_p[code]], "uniform": list(log_p), "wrong_class": wrong}[target]
            cells.append(-torch.stack(answers).mean())
        means.append(torch.stack(cells).mean())
    return torch.stack(means).mean()


# The encoder's side


@pytest.mark.parametrize("n_batches", [2, 3, 5])
@pytest.mark.parametrize("progress", [0.0, 0.1, 0.7])
def test_reversal_is_the_plain_gradient_times_minus_scale_and_ramp(n_batches: int, progress: float) -> None:
    penalty, (z_nd, batch_n) = build(n_batches, ramp="ganin"), minibatch(n_batches)
    plain = torch.autograd.grad(penalty.critic_loss(z_nd, batch_n, noise()), z_nd)[0]
    penalty.progress = progress
    ramp = 2 / (1 + math.exp(-10 * progress)) - 1
    assert plain.norm() > 0
    torch.testing.assert_close(gradient(penalty, z_nd, batch_n), -7 * ramp * plain)


@pytest.mark.parametrize("objective", ["uniform", "wrong_class"])
@pytest.mark.parametrize("n_batches", [2, 3, 5])
def test_other_objectives_equal_the_explicit_formulas(objective: str, n_batches: int) -> None:
    penalty, (z_nd, batch_n) = build(n_batches, objective=objective), minibatch(n_batches)
    expected = 7 * explicit(penalty, z_nd, batch_n, objective)
    torch.testing.assert_close(penalty.encoder_loss(z_nd, batch_n, noise())[0], expected)
    torch.testing.assert_close(gradient(penalty, z_nd, batch_n), torch.autograd.grad(expected, z_nd)[0])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_history_gets_the_cross_entropy_to_the_true_batches(objective: str) -> None:
    penalty, (z_nd, batch_n) = build(objective=objective), minibatch()
    terms = penalty.encoder_loss(z_nd, batch_n, noise())[1]
    torch.testing.assert_close(terms["cross_entropy"], explicit(penalty, z_nd, batch_n, "true").detach())
    assert not terms["cross_entropy"].requires_grad


def test_gradient_of_uniform_by_hand() -> None:
    """d/dlogit_b = p_b - 1/B, cell by cell."""
    penalty, (z_nd, batch_n) = build(objective="uniform", scale=1.0), minibatch()
    z_nd = z_nd[:6]
    batch_n = torch.tensor([0, 0, 1, 1, 2, 2])
    logit_nb = penalty.classifier(z_nd).detach().requires_grad_()
    expected = (logit_nb.softmax(-1) - 1 / 3) / 6
    (slope_nb,) = torch.autograd.grad(penalty.classifier(z_nd), z_nd, expected)[:1]
    torch.testing.assert_close(gradient(penalty, z_nd, batch_n), slope_nb)


def test_wrong_class_of_two_is_the_other_one() -> None:
    (z_nd, batch_n), penalty = minibatch(2), build(2, objective="wrong_class")
    flipped = explicit(penalty, z_nd, 1 - batch_n, "true")
    torch.testing.assert_close(penalty.encoder_loss(z_nd, batch_n, noise())[0], 7 * flipped)


def test_equal_batches_give_the_plain_mean_over_cells() -> None:
    """As `torch.nn.functional.cross_entropy`, and as scvi-tools' classifier loss."""
    z_nd, batch_n = minibatch()[0], torch.arange(12) % 3
    penalty = build()
    found = penalty.critic_loss(z_nd, batch_n, noise())
    torch.testing.assert_close(found, nn.functional.cross_entropy(penalty.classifier(z_nd), batch_n))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_encoder_loss_leaves_the_classifier_alone(objective: str) -> None:
    penalty, (z_nd, batch_n) = build(objective=objective), minibatch()
    penalty.encoder_loss(z_nd, batch_n, noise())[0].backward()  # type: ignore[no-untyped-call]
    assert z_nd.grad is not None
    assert z_nd.grad.any()
    assert all(parameter.grad is None for parameter in penalty.parameters())


def test_ramp() -> None:
    (z_nd, batch_n), ganin, constant = minibatch(), build(ramp="ganin"), build()
    assert ganin.encoder_loss(z_nd, batch_n, noise())[0] == 0
    losses = []
    for ganin.progress in (0.1, 0.3, 0.9):
        losses.append(ganin.encoder_loss(z_nd, batch_n, noise())[0].item())
    full = constant.encoder_loss(z_nd, batch_n, noise())[0].item()
    shares = [loss / full for loss in losses]
    assert shares == pytest.approx([0.4621, 0.9051, 0.9998], abs=1e-4)


# The classifier's side


def test_critic_loss_equals_the_explicit_formula_and_trains_every_weight() -> None:
    penalty, (z_nd, batch_n) = build(5), minibatch(5)
    loss = penalty.critic_loss(z_nd.detach(), batch_n, noise())
    torch.testing.assert_close(loss, explicit(penalty, z_nd, batch_n, "true"))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in penalty.parameters())


def test_settings_reach_the_training_loop() -> None:
    penalty = build(steps=7, lr=0.5, n_layers=3, n_hidden=9)
    assert (penalty.critic_steps, penalty.critic_lr) == (7, 0.5)
    assert penalty.classifier.network.widths == (4, 9, 9, 9, 3)


def test_a_batch_of_one_cell_and_absent_batches() -> None:
    z_nd, batch_n = minibatch(5)[0], torch.tensor([4] + [1] * 11)
    for objective in OBJECTIVES:
        penalty = build(5, objective=objective)
        assert gradient(penalty, z_nd, batch_n).isfinite().all()
        assert gradient(penalty, z_nd, torch.full((12,), 2)).isfinite().all()
        torch.testing.assert_close(
            penalty.critic_loss(z_nd, batch_n, noise()), explicit(penalty, z_nd, batch_n, "true")
        )


def test_dropout_acts_on_the_classifiers_own_steps_only() -> None:
    (z_nd, batch_n), plain, dropped = minibatch(), build(), build(dropout=0.5)
    whole = plain.critic_loss(z_nd, batch_n, noise())
    assert dropped.critic_loss(z_nd, batch_n, noise(1)) != dropped.critic_loss(z_nd, batch_n, noise(2))
    assert dropped.critic_loss(z_nd, batch_n, noise(1)) != whole
    assert torch.equal(gradient(dropped, z_nd, batch_n), gradient(plain, z_nd, batch_n))


def test_dropout_keeps_the_mean_of_the_units() -> None:
    """With one hidden layer log-odds are linear in its units: their mean over masks is that of the whole."""
    penalty, (z_nd, _) = build(2, n_layers=1, dropout=0.3), minibatch()
    masks = noise()
    with torch.no_grad():
        draws_rn = torch.stack([penalty.classifier(z_nd, masks).diff()[:, 0] for _ in range(4000)])
        whole_n = penalty.classifier(z_nd).diff()[:, 0]
    error_n = draws_rn.std(0) / len(draws_rn) ** 0.5
    assert ((draws_rn.mean(0) - whole_n).abs() < 5 * error_n).all()


def trained(penalty: AdversarialPenalty, z_nd: Tensor, batch_n: Tensor, steps: int) -> AdversarialPenalty:
    optimiser = torch.optim.Adam(penalty.parameters(), lr=penalty.critic_lr)
    order, own = torch.Generator().manual_seed(0), noise(1)
    for _ in range(steps):
        rows = torch.randint(len(z_nd), (128,), generator=order)
        optimiser.zero_grad()
        penalty.critic_loss(z_nd[rows], batch_n[rows], own).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return penalty


def test_small_batches_are_classes_like_the_others() -> None:
    """95 % of the cells in one batch: where nothing can be told, the answer is 1/2, not 95 %."""
    z_nd = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))
    batch_n = (torch.arange(4000) % 20 == 0).long()
    penalty = trained(build(2), z_nd, batch_n, 1000)
    with torch.no_grad():
        mean_b = penalty.classifier(z_nd).softmax(-1).mean(0)
    assert mean_b.tolist() == pytest.approx([0.5, 0.5], abs=0.1)


def test_same_seed_same_numbers_other_seed_others() -> None:
    z_nd, batch_n = minibatch()
    one, same, other = (
        trained(build(seed=seed, dropout=0.2), z_nd.detach(), batch_n, 3).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


# The game: spec F, after CellCap's issue #5. Only a decoder that knows the class lets the encoder forget it.


SHARES = [0.75, 0.15, 0.10]


def conditional_shift(n: int) -> tuple[Tensor, Tensor]:
    """Three common factors in 20 dimensions, and a mean of its own for each class."""
    rng = np.random.default_rng(0)
    class_n = rng.choice(3, size=n, p=SHARES)
    x_ng = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 20)) + 0.3 * rng.normal(size=(n, 20))
    x_ng += rng.normal(size=(3, 20))[class_n]
    return torch.from_numpy(x_ng).float(), torch.from_numpy(class_n)


def autoencoder(n_in: int, n_out: int, init: torch.Generator) -> nn.Sequential:
    return nn.Sequential(Linear(n_in, 32, init), nn.ELU(), Linear(32, n_out, init))


def encoded(x_ng: Tensor, class_n: Tensor, **changes: Any) -> tuple[Tensor, float]:
    """Latent vectors of a trained autoencoder, and its error per cell."""
    n_steps, init, order = 800, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    encoder, decoder = autoencoder(20, 5, init), autoencoder(5 + 3, 20, init)
    penalty = build(3, n_latent=5, n_hidden=64, lr=5e-3, **changes)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    critic_optimiser = torch.optim.Adam(penalty.parameters(), lr=penalty.critic_lr)
    class_nb = one_hot(class_n).float()

    def errors(rows: Tensor, z_nd: Tensor) -> Tensor:
        output: Tensor = decoder(torch.cat((z_nd, class_nb[rows]), -1)) - x_ng[rows]
        return output.square().sum(-1).mean()

    for step in range(n_steps):
        rows = torch.randint(len(x_ng), (128,), generator=order)
        z_nd = encoder(x_ng[rows])
        for _ in range(penalty.critic_steps):
            critic_optimiser.zero_grad()
            penalty.critic_loss(z_nd.detach(), class_n[rows], noise()).backward()  # type: ignore[no-untyped-call]
            critic_optimiser.step()
        penalty.progress = step / n_steps
        optimiser.zero_grad()
        loss = errors(rows, z_nd) + penalty.encoder_loss(z_nd, class_n[rows], noise())[0]
        torch.autograd.backward(loss)
        optimiser.step()
    with torch.no_grad():
        z_nd = encoder(x_ng)
        return z_nd, errors(torch.arange(len(x_ng)), z_nd).item()


def probe_f1(z_nd: Tensor | NDArray[np.float64], class_n: Tensor, weight: str | None = None) -> float:
    """Macro-F1, on the second half of the cells, of a new logistic regression on the first."""
    z, half = np.asarray(z_nd), len(class_n) // 2
    z = (z - z.mean(0)) / z.std(0)
    probe = LogisticRegression(max_iter=500, class_weight=weight).fit(z[:half], class_n[:half].numpy())
    return float(f1_score(class_n[half:], probe.predict(z[half:]), average="macro"))


def test_reversal_makes_an_encoder_forget_the_class() -> None:
    x_ng, class_n = conditional_shift(4000)
    random = np.random.default_rng(1).normal(size=(4000, 5))
    free, free_error = encoded(x_ng, class_n, scale=0.0, steps=1)
    fair, fair_error = encoded(x_ng, class_n, scale=100.0, ramp="ganin")
    for weight in (None, "balanced"):
        baseline = probe_f1(random, class_n, weight)
        assert baseline < 0.35
        assert probe_f1(free, class_n, weight) > 0.95
        assert probe_f1(fair, class_n, weight) == pytest.approx(baseline, abs=0.1), weight
    variance = x_ng.var(0).sum().item()
    assert free_error < fair_error < 0.15 * variance  # forgets the class, not the cell
