"""The fused likelihood against its definition in double precision, and what else a pack relies on.

On a machine with a GPU these run there. Elsewhere Triton's interpreter runs them on the CPU, where it is
asked to: that checks formulas, masks and addresses, not the rounding of a GPU's exponentials.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bie.data.load import load
from bie.kernels import fused
from bie.models.likelihoods import nb, zinb
from bie.planning.compose import Configurations
from bie.training.fit import fit
from tests.training.packs import configs, member

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(
    not fused.is_active(DEVICE), reason="needs Triton and a GPU, or its interpreter: TRITON_INTERPRET=1"
)
SHAPES = {"one run": (5, 70), "a pack": (3, 9, 300), "one cell": (2, 1, 256), "one gene": (2, 9, 1)}


class Given:
    """Counts and what the decoder makes for them, of ordinary size or, spread wide, not."""

    def __init__(self, shape: tuple[int, ...], kind: str, spread: float = 1.0) -> None:
        stream, (*runs, n, g) = torch.Generator().manual_seed(0), shape
        self.x = torch.poisson(torch.rand(shape, generator=stream) ** 4 * 30, generator=stream)
        self.x[..., 0, :1] = 5_000
        sizes = {"logit": shape, "library": (*runs, n, 1), "theta": (*runs, 1, g), "zero": shape}
        drawn = {name: torch.randn(size, generator=stream) for name, size in sizes.items()}
        self.inputs = [drawn["logit"] * spread, 5 + drawn["library"], 2 * spread * drawn["theta"]]
        self.inputs += [spread * drawn["zero"]] if kind == "zinb" else []
        self.weight = torch.randn(shape[:-1], generator=stream)

    def fused(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Value, and gradients of a weighted sum over the cells."""
        inputs = [each.to(DEVICE).requires_grad_() for each in self.inputs]
        value = fused.log_likelihood(self.x.to(DEVICE), *inputs)
        gradients = torch.autograd.grad((value * self.weight.to(DEVICE)).sum(), inputs)
        return value.detach().cpu(), tuple(gradient.cpu() for gradient in gradients)

    def plain(self, precision: torch.dtype) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same by the definition."""
        inputs = [each.to(precision).requires_grad_() for each in self.inputs]
        logit, library, log_theta, *zero = inputs
        count = zinb if zero else nb
        mu = library.exp() * logit.softmax(-1)
        value = count(self.x.to(precision), mu, log_theta.exp(), *zero).sum(-1)
        return value.detach(), torch.autograd.grad((value * self.weight.to(precision)).sum(), inputs)


def off(found: Tensor, exact: Tensor) -> float:
    """Largest difference, of the largest number."""
    return float((found - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("kind", ["zinb", "nb"])
@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_definition(shape: str, kind: str) -> None:
    given = Given(SHAPES[shape], kind)
    (value, gradients), (exact, by) = given.fused(), given.plain(torch.float64)
    plain, _ = given.plain(torch.float32)
    assert off(value, exact) < max(1e-6, off(plain, exact))
    for gradient, expected in zip(gradients, by, strict=True):
        assert gradient.shape == expected.shape
        if expected.abs().max() > 1e-9:  # nothing hangs on the logit of a gene that is alone
            assert off(gradient, expected) < 1e-5


@pytest.mark.parametrize("kind", ["zinb", "nb"])
def test_is_closer_than_torch_where_numbers_are_extreme(kind: str) -> None:
    """Theta from 1e-10 to 1e10, where differences of logarithms of gamma functions lose their digits."""
    given = Given((2, 8, 200), kind, spread=4.0)
    (value, gradients), (exact, by) = given.fused(), given.plain(torch.float64)
    plain, plain_by = given.plain(torch.float32)
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)
    assert off(value, exact) < off(plain, exact)
    for gradient, other, expected in zip(gradients, plain_by, by, strict=True):
        assert off(gradient, expected) < max(1e-5, off(other, expected))


def test_count_by_count() -> None:
    """A gene and a theta for each run, a count for each cell: nothing hides in a sum."""
    counts = torch.tensor([0, 1, 2, 3, 7, 20, 150, 1e5])
    log_theta = torch.linspace(-9, 14, 12).view(-1, 1, 1)  # 1e-4 to 1e6
    x = counts.view(1, -1, 1).expand(12, -1, -1).contiguous()
    library = (x + 0.5).log()
    log_theta_there = log_theta.to(DEVICE).requires_grad_()
    value = fused.log_likelihood(
        x.to(DEVICE), torch.zeros_like(x).to(DEVICE), library.to(DEVICE), log_theta_there
    )
    each = [torch.autograd.grad(of_cell.sum(), log_theta_there, retain_graph=True)[0] for of_cell in value.T]
    exact_theta = log_theta.double().requires_grad_()
    exact = nb(x.double(), library.double().exp(), exact_theta.exp().expand_as(x)).squeeze(-1)
    assert ((value.cpu() - exact).abs() < 1e-6 * (exact.abs() + 1 + x[..., 0])).all()  # x ln mu is a term
    for count, found, of_cell in zip(counts, each, exact.T, strict=True):
        (expected,) = torch.autograd.grad(of_cell.sum(), exact_theta, retain_graph=True)
        rounding = 1e-6 * (1 + float(count))
        torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-5, atol=rounding)


@pytest.fixture(scope="module")
def of_numbers() -> tuple[Tensor, ...]:
    """Value and gradients of three runs."""
    value, gradients = Given((3, 6, 300), "zinb").fused()
    return value, *gradients


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("part", range(4))
def test_a_run_that_is_not_a_number_changes_no_bit_of_the_others(
    part: int, of_numbers: tuple[Tensor, ...]
) -> None:
    given = Given((3, 6, 300), "zinb")
    given.inputs[part].data[1, ..., 0] = torch.nan
    broken, broken_by = given.fused()
    assert broken[1].isnan().any()
    for one, other in zip(of_numbers, (broken, *broken_by), strict=True):
        assert torch.equal(one[[0, 2]], other[[0, 2]])
    assert all(gradient[1].isnan().any() for gradient in broken_by)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("count", [float("nan"), float("inf")])
def test_a_count_that_is_none_is_seen(count: float) -> None:
    given = Given((4, 30), "zinb")
    given.x[2, 7] = count
    value, _ = given.fused()
    assert value.isfinite().tolist() == [True, True, False, True]


def test_takes_one_dispersion_a_gene_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    x, theta = torch.zeros(2, 5, 8, device=DEVICE), torch.zeros(2, 1, 8, device=DEVICE)
    assert fused.takes(x, theta)
    assert not fused.takes(x.double(), theta.double())
    assert not fused.takes(x, x)
    monkeypatch.setenv("BIE_KERNELS", "torch")
    assert not fused.takes(x, theta)


@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
def test_a_pack_trains_the_same_with_it(
    likelihood: str, configurations: Configurations, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = (f"model.likelihood={likelihood}", "seed=0,1", "train.epochs=1", "dataset.n_cells=80")
    found = configs(configurations, *typed)
    cells = load(found[0].dataset)
    histories = []
    for kernels in ("torch", ""):
        monkeypatch.setenv("BIE_KERNELS", kernels)
        runs = [member(config, cells) for config in found]
        histories.append([fitted.history for fitted in fit(runs, cells, DEVICE)])
    for plain, ours in zip(*histories, strict=True):
        assert all(one == pytest.approx(other, rel=2e-4) for one, other in zip(plain, ours, strict=True))
    assert histories[0] != histories[1]  # or else it was not called


COMPILE = """
import json, sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from bie.kernels import fused, triton_likelihood

found = {}
for name, sizes in (("forward", fused.FORWARD), ("backward", fused.BACKWARD)):
    program = getattr(triton_likelihood, name)
    types = {each: "*fp32" for each in program.arg_names if each.endswith("_ptr")}
    types |= {"n_cells": "i32", "n_genes": "i32"}
    for zero_inflated in (True, False):
        fixed = {"zero_inflated": zero_inflated, **sizes}
        source = ASTSource(program, types | dict.fromkeys(fixed, "constexpr"), constexprs=fixed)
        made = compile(source, target=GPUTarget("cuda", 90, 32))
        found[f"{name} {zero_inflated}"] = [len(made.asm["cubin"]), "atom" in made.asm["ptx"]]
print(json.dumps(found))
"""


def test_compiles_for_a_gpu_without_one(tmp_path: Path) -> None:
    """To machine code of an H100 (compute capability 9.0), and without atomic additions."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", COMPILE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 4
    assert all(size > 0 and not atomic for size, atomic in found.values())
