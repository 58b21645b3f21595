import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bie.mutual_information import build_critic
from bie.mutual_information.estimators import infonce_bound, log_mean_exp
from bie.mutual_information.pairs import batch_inputs, contrasted, shuffled, with_each_batch


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def critic(n_columns: int, name: str = "mlp") -> Any:
    return build_critic(name, 3, n_columns, 8, 2, generator())


def minibatch(n: int = 10) -> tuple[Tensor, Tensor]:
    """Three batches of unequal size; code 3 has no cell here."""
    return torch.randn(n, 3, generator=generator(1)).requires_grad_(), torch.tensor(
        [0] * 5 + [1] * 3 + [2] * 2
    )


def test_batch_inputs() -> None:
    assert batch_inputs(3, "onehot").tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert batch_inputs(3, "raw").tolist() == [[0], [1], [2]]


def test_shuffled_gives_own_rows_then_rows_in_the_given_order() -> None:
    (z_nd, batch_n), order = minibatch(), torch.randperm(10, generator=generator(2))
    input_bc, scores = batch_inputs(4, "onehot"), critic(4)
    joint_n, marginal_n = scores(*shuffled(z_nd, batch_n, input_bc, order)).chunk(2)
    batch_nc = input_bc[batch_n]
    torch.testing.assert_close(joint_n, scores(z_nd, batch_nc))
    torch.testing.assert_close(marginal_n, scores(z_nd, batch_nc[order]))


@pytest.mark.parametrize("name", ["mine_net", "mine_net2"])
def test_one_call_for_both_kinds_of_pairs_leaves_batch_norm_as_it_is_in_two(name: str) -> None:
    (z_nd, batch_n), order = minibatch(), torch.randperm(10, generator=generator(2))
    input_bc, scores = batch_inputs(4, "raw"), critic(1, name)
    joint_n, marginal_n = scores(*shuffled(z_nd, batch_n, input_bc, order)).chunk(2)
    batch_nc = input_bc[batch_n]
    torch.testing.assert_close(joint_n, scores(z_nd, batch_nc))
    torch.testing.assert_close(marginal_n, scores(z_nd, batch_nc[order]))


@pytest.mark.parametrize("kind", ["onehot", "raw"])
def test_contrast_with_the_batches_is_contrast_with_all_cells(kind: str) -> None:
    """Each cell with the batches of all n cells, one by one; value and gradient."""
    (z_nd, batch_n), input_bc = minibatch(), batch_inputs(4, kind)
    scores = critic(input_bc.shape[1])
    found = infonce_bound(*contrasted(with_each_batch(scores, z_nd, input_bc), batch_n))
    every_nn = torch.stack([scores(z_nd, input_bc[code].expand(10, -1)) for code in batch_n], -1)
    expected = infonce_bound(every_nn.diagonal(), every_nn)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(value, z_nd)[0] for value in (found, expected))
    torch.testing.assert_close(*gradients)


def test_independent_pairs_are_those_of_all_orders_at_once() -> None:
    """Of e^T: over every rotation of the cells each of them meets each batch."""
    (z_nd, batch_n), input_bc = minibatch(), batch_inputs(4, "onehot")
    scores = critic(4)
    _, marginal_nb = contrasted(with_each_batch(scores, z_nd, input_bc), batch_n)
    orders = [torch.arange(10).roll(turn) for turn in range(10)]
    marginal = [scores(*shuffled(z_nd, batch_n, input_bc, order)).chunk(2)[1] for order in orders]
    torch.testing.assert_close(log_mean_exp(marginal_nb.flatten()), log_mean_exp(torch.cat(marginal)))


def test_it_is_the_entropy_minus_the_cross_entropy_of_a_classifier() -> None:
    z_nd, batch_n = minibatch()
    input_bc, share_b = batch_inputs(3, "onehot"), torch.tensor([0.5, 0.3, 0.2])
    scores = critic(3)
    found = infonce_bound(*contrasted(with_each_batch(scores, z_nd, input_bc), batch_n))
    logit_nb = torch.stack([scores(z_nd, row.expand(10, -1)) for row in input_bc], -1) + share_b.log()
    entropy = -(share_b * share_b.log()).sum()
    torch.testing.assert_close(found, entropy - cross_entropy(logit_nb, batch_n))


def test_it_never_exceeds_the_entropy_of_the_batches() -> None:
    _, batch_n = minibatch()
    certain_nb = 1e3 * batch_n.unsqueeze(-1).eq(torch.arange(4)).float()  # of the cell's own batch
    joint_n, marginal_nb = contrasted(certain_nb, batch_n)
    entropy = -sum(share * math.log(share) for share in (0.5, 0.3, 0.2))
    assert infonce_bound(joint_n, marginal_nb).item() == pytest.approx(entropy, abs=1e-3)
