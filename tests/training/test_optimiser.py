import pytest
import torch
from torch import Tensor

from bie import kernels
from bie.kernels.adam import CompiledAdam
from bie.training.optimiser import adam


def tensors(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = [(7, 33), (1, 33), (1,), (100,)]
    return [torch.randn(shape, generator=random).to(dtype).requires_grad_() for shape in shapes]


def gradients(step: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Of magnitudes from 1e-6 to 100, and zeros."""
    random = torch.Generator().manual_seed(100 + step)
    of_all = [torch.randn(t.shape, generator=random) * 10.0 ** (2 - 8 * (step % 2)) for t in tensors()]
    return [(t * (t.abs() > 0.1 * t.abs().max())).to(dtype) for t in of_all]


@pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")
@pytest.mark.parametrize("eps", [1e-8, 0.01])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_are_those_of_torch_in_double_precision(eps: float, weight_decay: float) -> None:
    fast, exact = tensors(), tensors(torch.float64)
    own = adam(fast, 1e-2, eps, weight_decay)
    theirs = torch.optim.Adam(exact, lr=1e-2, eps=eps, weight_decay=weight_decay)
    assert isinstance(own, CompiledAdam)
    for step in range(20):
        for parameters, dtype in ((fast, torch.float32), (exact, torch.float64)):
            for parameter, gradient in zip(parameters, gradients(step, dtype), strict=True):
                parameter.grad = gradient
        own.step()
        theirs.step()
    for one, right, start in zip(fast, exact, tensors(), strict=True):
        assert (one - right).norm() < 1e-5 * (right - start).norm()


@pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")
def test_strided_gradients() -> None:
    steps = []
    for strided in (False, True):
        (parameter,) = parameters = tensors()[:1]
        gradient = gradients(0)[0]
        parameter.grad = gradient.mT.contiguous().mT if strided else gradient
        adam(parameters, 1e-2).step()
        steps.append(parameter.detach())
    assert torch.equal(*steps)


@pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")
def test_the_state_does_not_depend_on_the_memory_layout() -> None:
    states = []
    for transposed in (False, True):
        values = tensors()
        if transposed:
            values[0] = values[0].detach().mT.contiguous().mT.requires_grad_()
        optimiser = adam(values, 1e-2)
        for parameter, gradient in zip(values, gradients(0), strict=True):
            parameter.grad = gradient
        optimiser.step()
        states.append(optimiser.state_dict())
        again = adam(values, 1e-2)
        again.load_state_dict(optimiser.state_dict())
        assert torch.equal(again.state_dict()["mean"], states[-1]["mean"])
    assert torch.equal(states[0]["mean"], states[1]["mean"])
    assert torch.equal(states[0]["square"], states[1]["square"])


@pytest.mark.skipif(not kernels.is_active(), reason="no compiled kernels")
def test_what_is_not_finite_is_not_hidden() -> None:
    (parameter,) = parameters = tensors()[:1]
    parameter.grad = torch.zeros_like(parameter)
    parameter.grad[0, :2] = torch.tensor([torch.nan, torch.inf])
    adam(parameters, 1e-2).step()
    assert parameter[0, :2].isnan().all()
    assert parameter[0, 2:].isfinite().all()


def test_other_precision_is_left_to_torch() -> None:
    assert isinstance(adam(tensors(torch.float64), 1e-2), torch.optim.Adam)
