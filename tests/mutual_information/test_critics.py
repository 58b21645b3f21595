import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn.functional import one_hot

from bie.mutual_information.critics import Mlp, MlpCritic, SeparableCritic


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(n: int = 6) -> tuple[Tensor, Tensor]:
    z_nd = torch.randn(n, 3, generator=generator(9))
    return z_nd, one_hot(torch.arange(n) % 2, 2).float()


def test_equals_the_network_written_out() -> None:
    critic = MlpCritic(3, 2, n_hidden=5, n_layers=2, init=generator(0))
    *hidden, (last, last_bias) = critic.network.layers
    z_nd, batch_nb = inputs()
    for row in range(len(z_nd)):
        h = torch.cat((z_nd[row], batch_nb[row]))
        for weight, bias in hidden:
            h = h @ weight + bias[0]
            h = torch.where(h > 0, h, h.exp() - 1)
        torch.testing.assert_close(critic(z_nd, batch_nb)[row], (h @ last + last_bias[0])[0])


def test_one_seed_one_critic() -> None:
    weights = [MlpCritic(3, 2, 5, 1, generator(seed)).network.vector for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_separable_critic_gives_the_scores_of_all_batches_at_once() -> None:
    critic, (z_nd, batch_nb) = SeparableCritic(3, 2, 5, 2, generator(0)), inputs()
    score_nb = critic(z_nd)
    assert critic.network.widths == (3, 5, 5, 2)
    torch.testing.assert_close(score_nb, critic.network(z_nd))
    torch.testing.assert_close(critic(z_nd, batch_nb), score_nb[torch.arange(6), torch.arange(6) % 2])
    several = critic(z_nd.expand(4, 6, 3), batch_nb.expand(4, 6, 2))
    torch.testing.assert_close(several, critic(z_nd, batch_nb).expand(4, 6))


def test_stacked_parameters_are_several_critics() -> None:
    critics = [MlpCritic(3, 2, 5, 2, generator(seed)) for seed in range(3)]
    z_nd, batch_nb = inputs()
    parameters, _ = stack_module_state(critics)
    scores_rn = functional_call(critics[0], parameters, (z_nd.expand(3, 6, 3), batch_nb.expand(3, 6, 2)))
    for critic, scores_n in zip(critics, scores_rn, strict=True):
        torch.testing.assert_close(critic(z_nd, batch_nb), scores_n)


@pytest.mark.parametrize("kind", [MlpCritic, SeparableCritic])
def test_sees_the_interaction_of_latent_vector_and_batch(kind: type[MlpCritic | SeparableCritic]) -> None:
    critic = kind(3, 2, 5, 1, generator(0))
    z_nd, _ = inputs()
    as_first, as_second = (critic(z_nd, one_hot(torch.full((6,), b), 2).float()) for b in (0, 1))
    difference_n = as_first - as_second
    assert difference_n.std() > 1e-3  # constant for a(batch) + b(z)


def test_initial_parameters_are_uniform_within_the_bounds_of_their_layer() -> None:
    critic = MlpCritic(150, 50, 300, 1, generator(0))
    (weight, bias), (last, last_bias) = critic.network.layers
    assert weight.shape == (200, 300)
    assert bias.shape == (1, 300)
    assert last.shape == (300, 1)
    assert last_bias.shape == (1, 1)
    for layer, n_in in ((torch.cat((weight, bias)), 200), (torch.cat((last, last_bias)), 300)):
        scaled = layer.detach() * n_in**0.5
        assert 0.9 < scaled.abs().max() <= 1
        assert scaled.std().item() == pytest.approx(3**-0.5, rel=0.1)


def test_frozen_gives_no_gradient_to_the_parameters() -> None:
    network, (z_nd, _) = Mlp((3, 5, 1), generator(0)), inputs()
    score_n1 = network(z_nd.requires_grad_(), frozen=True)
    assert torch.equal(score_n1, network(z_nd))
    score_n1.sum().backward()  # type: ignore[no-untyped-call]
    assert z_nd.grad is not None
    assert network.vector.grad is None
