import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state
from torch.nn.functional import one_hot

from bie.mutual_information.critics import MlpCritic


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(n: int = 6) -> tuple[Tensor, Tensor]:
    z_nd = torch.randn(n, 3, generator=generator(9))
    return z_nd, one_hot(torch.arange(n) % 2, 2).float()


def test_equals_the_network_written_out() -> None:
    critic = MlpCritic(3, 2, n_hidden=5, n_layers=2, init=generator(0))
    first, second, last = critic.weights
    z_nd, batch_nb = inputs()
    for row in range(len(z_nd)):
        h = torch.cat((z_nd[row], batch_nb[row]))
        for weight, bias in ((first, critic.biases[0]), (second, critic.biases[1])):
            h = h @ weight + bias[0]
            h = torch.where(h > 0, h, h.exp() - 1)
        torch.testing.assert_close(critic(z_nd, batch_nb)[row], (h @ last + critic.biases[2][0])[0])


def test_one_seed_one_critic() -> None:
    weights = [MlpCritic(3, 2, 5, 1, generator(seed)).weights[0] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_stacked_parameters_are_several_critics() -> None:
    critics = [MlpCritic(3, 2, 5, 2, generator(seed)) for seed in range(3)]
    z_nd, batch_nb = inputs()
    parameters, _ = stack_module_state(critics)
    scores_rn = functional_call(critics[0], parameters, (z_nd.expand(3, 6, 3), batch_nb.expand(3, 6, 2)))
    for critic, scores_n in zip(critics, scores_rn, strict=True):
        torch.testing.assert_close(critic(z_nd, batch_nb), scores_n)


def test_sees_the_interaction_of_latent_vector_and_batch() -> None:
    critic = MlpCritic(3, 2, 5, 1, generator(0))
    z_nd, _ = inputs()
    as_first, as_second = (critic(z_nd, one_hot(torch.full((6,), b), 2).float()) for b in (0, 1))
    difference_n = as_first - as_second
    assert difference_n.std() > 1e-3  # constant for a(batch) + b(z)
