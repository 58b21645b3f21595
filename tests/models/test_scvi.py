from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from bie.config import Model
from bie.errors import BadInput
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms

N, G, B = 16, 12, 2
VALUES = {
    "name": "scvi",
    "n_latent": 3,
    "n_hidden": 8,
    "n_layers": 2,
    "dropout": 0.2,
    "likelihood": "zinb",
    "dispersion": "gene",
    "library": "modelled",
    "batch_covariate": True,
    "encode_covariates": False,
    "deeply_inject_covariates": True,
    "variance_floor": 0.0,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(seed: int = 0, library_var: float = 0.3, **changed: Any) -> Scvi:
    moments = torch.tensor([3.0, 4.0]), torch.tensor([0.2, library_var])
    return Scvi(G, B, Model.model_validate(VALUES | changed), *moments, generator(seed))


def cells() -> tuple[Tensor, Tensor]:
    x = torch.poisson(torch.full((N, G), 3.0), generator=generator(1))
    return x, torch.arange(N) % B


class Replayed(Noise):
    """The draws of several streams, stacked on a leading axis."""

    def __init__(self, *streams: Noise) -> None:
        self.streams = streams

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([stream.normal(shape[1:]) for stream in self.streams])

    def keep(self, shape: Sequence[int], share: float) -> Tensor:
        return torch.stack([stream.keep(shape[1:], share) for stream in self.streams])


@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
@pytest.mark.parametrize("library", ["modelled", "observed"])
def test_runs_stacked_on_a_leading_axis_are_the_runs_alone(likelihood: str, library: str) -> None:
    models = [build(seed, likelihood=likelihood, library=library) for seed in range(3)]
    x, batch = cells()
    parameters, buffers = stack_module_state(models)
    noise = Replayed(*(Noise(generator(seed)) for seed in range(3)))
    inputs = x.expand(3, N, G), batch.expand(3, N), noise
    together: Terms = functional_call(models[0], (parameters, buffers), inputs)
    for r, model in enumerate(models):
        for one, other in zip(together, model(x, batch, Noise(generator(r))), strict=True):
            torch.testing.assert_close(one[r], other, rtol=1e-5, atol=1e-5)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[name][r], buffer)


def test_terms_are_per_cell_and_divergences_not_negative() -> None:
    terms = build()(*cells(), Noise(generator()))
    assert terms.z_nd.shape == (N, 3)
    for part in terms[1:]:
        assert part.shape == (N,)
        assert (part >= 0).all()


def test_observed_library_has_no_divergence_and_no_weights() -> None:
    model = build(library="observed")
    assert not list(model.library.parameters())
    assert model(*cells(), Noise(generator())).kl_library_n.eq(0).all()


@pytest.mark.parametrize("sees", [True, False])
def test_the_decoder_sees_the_batch_only_if_asked(sees: bool) -> None:
    model = build(library="observed", batch_covariate=sees).eval()
    x, batch = cells()
    one = model(x, batch, Noise(generator()))
    other = model(x, 1 - batch, Noise(generator()))
    assert torch.equal(one.z_nd, other.z_nd)  # the encoder never does
    assert torch.equal(one.reconstruction_n, other.reconstruction_n) is not sees


def test_library_prior_is_that_of_the_batch() -> None:
    model = build().eval()
    x, _ = cells()
    kl = [model(x, torch.full((N,), b), Noise(generator())).kl_library_n for b in range(B)]
    log_x = x.log1p()
    posterior = model.library.encoder(log_x)  # type: ignore[operator]
    torch.testing.assert_close(kl[0], posterior.kl(3.0, 0.2))
    torch.testing.assert_close(kl[1], posterior.kl(4.0, 0.3))


def test_variance_floor_is_added() -> None:
    x, _ = cells()
    none, floored = (build(variance_floor=floor).eval().encoder(x.log1p()) for floor in (0.0, 0.5))
    torch.testing.assert_close(floored.variance, none.variance + 0.5)


def test_a_batch_of_equal_totals_has_no_modelled_library() -> None:
    with pytest.raises(BadInput, match=r"batch number 1 .* model\.library=observed"):
        build(library_var=0.0)
    build(library_var=0.0, library="observed")


def test_global_random_state_is_neither_read_nor_changed() -> None:
    def terms() -> Terms:
        found: Terms = build()(*cells(), Noise(generator()))
        return found

    torch.manual_seed(0)
    before, one = torch.get_rng_state(), terms()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(one.z_nd, terms().z_nd)
