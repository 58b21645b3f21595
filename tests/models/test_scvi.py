from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from bie.config import Model
from bie.errors import BadInput
from bie.models.layers import Linear
from bie.models.library import ModelledLibrary
from bie.models.noise import Noise
from bie.models.scvi import Scvi, Terms

N, G, B, L = 16, 12, 2, 3
CHOICES: list[dict[str, Any]] = [
    *({"likelihood": likelihood} for likelihood in ("zinb", "nb", "poisson", "gaussian")),
    {"library": "observed"},
    *({"dispersion": dispersion} for dispersion in ("gene-batch", "gene-label", "gene-cell")),
    {"likelihood": "nb", "dispersion": "gene-batch", "library": "observed"},
    {"likelihood": "gaussian", "dispersion": "gene-cell"},
    {"deeply_inject_covariates": False},
    {"encode_covariates": True},
    {"encode_covariates": True, "deeply_inject_covariates": False, "batch_covariate": False},
]
"""Settings that the model has to serve, in training alone and stacked."""
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
    return Scvi(G, B, Model.model_validate(VALUES | changed), *moments, generator(seed), L)


def cells() -> tuple[Tensor, Tensor]:
    x = torch.poisson(torch.full((N, G), 3.0), generator=generator(1))
    return x, torch.arange(N) % B


LABEL = torch.arange(N) // 2 % L


class Replayed(Noise):
    """The draws of several streams, stacked on a leading axis."""

    def __init__(self, *streams: Noise) -> None:
        self.streams = streams

    def normal(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([stream.normal(shape[1:]) for stream in self.streams])

    def keep(self, shape: Sequence[int], keep_prob: float) -> Tensor:
        return torch.stack([stream.keep(shape[1:], keep_prob) for stream in self.streams])


@pytest.mark.parametrize("changed", CHOICES, ids=str)
def test_runs_stacked_on_a_leading_axis_are_the_runs_alone(changed: dict[str, Any]) -> None:
    models = [build(seed, **changed) for seed in range(3)]
    x, batch = cells()
    parameters, buffers = stack_module_state(models)
    noise = Replayed(*(Noise(generator(seed)) for seed in range(3)))
    inputs = x.expand(3, N, G), batch.expand(3, N), noise, LABEL.expand(3, N)
    together: Terms = functional_call(models[0], (parameters, buffers), inputs)
    for r, model in enumerate(models):
        for one, other in zip(together, model(x, batch, Noise(generator(r)), LABEL), strict=True):
            torch.testing.assert_close(one[r], other, rtol=1e-5, atol=1e-5)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[name][r], buffer)


def test_terms_are_per_cell_and_divergences_not_negative() -> None:
    terms = build()(*cells(), Noise(generator()))
    assert terms.z_nd.shape == terms.mean_nd.shape == (N, 3)
    for part in terms[2:]:
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


@pytest.mark.parametrize("sees", [True, False])
def test_the_encoders_see_the_batch_only_if_asked(sees: bool) -> None:
    model = build(encode_covariates=sees).eval()
    x, batch = cells()
    one, other = (model.posterior_mean(x, codes) for codes in (batch, 1 - batch))
    assert torch.equal(one, other) is not sees
    library: Any = model.library
    first = library.encoder.hidden.linears[0].weight
    assert first.shape[0] == G + sees * B
    assert len(library.encoder.hidden.linears) == 1  # however many the others have


@pytest.mark.parametrize(
    ("dispersion", "shape"), [("gene", (1, G)), ("gene-batch", (B, G)), ("gene-label", (L, G))]
)
def test_cells_of_a_group_share_a_dispersion(dispersion: str, shape: tuple[int, int]) -> None:
    """The gradient of a cell's loss goes into the row of its own group alone."""
    model, (x, batch) = build(dispersion=dispersion).eval(), cells()
    log_theta = model.decoder.log_theta
    assert isinstance(log_theta, torch.nn.Parameter)
    assert log_theta.shape == shape
    group = {"gene": torch.zeros(N), "gene-batch": batch, "gene-label": LABEL}[dispersion]
    terms: Terms = model(x, batch, Noise(generator()), LABEL)
    for cell in range(4):
        (gradient,) = torch.autograd.grad(terms.reconstruction_n[cell], log_theta, retain_graph=True)
        assert gradient.any(1).tolist() == [row == group[cell] for row in range(shape[0])]


def test_a_decoded_dispersion_follows_the_latent_vector() -> None:
    model = build(dispersion="gene-cell").eval()
    assert isinstance(model.decoder.log_theta, Linear)
    h = torch.randn(N, 8, generator=generator(2))
    theta = model.decoder.theta(h, torch.eye(B)[torch.arange(N) % B], None)
    torch.testing.assert_close(theta, model.decoder.log_theta(h).exp())
    assert theta.std(0).min() > 0


def test_a_poisson_count_has_no_dispersion() -> None:
    names = [name for name, _ in build(likelihood="poisson", dispersion="gene-cell").named_parameters()]
    assert not [name for name in names if "theta" in name or "zero_logit" in name]


def test_labels_are_read_where_the_dispersion_wants_them_alone() -> None:
    x, batch = cells()
    for changed in CHOICES:
        model, other = build(**changed).eval(), (LABEL + 1) % L
        one, two = (model(x, batch, Noise(generator()), label) for label in (LABEL, other))
        reads = changed.get("dispersion") == "gene-label"
        assert torch.equal(one.reconstruction_n, two.reconstruction_n) is not reads
        assert torch.equal(one.z_nd, two.z_nd)


def test_a_dispersion_for_each_label_needs_labels() -> None:
    settings = Model.model_validate(VALUES | {"dispersion": "gene-label"})
    with pytest.raises(BadInput, match=r"model\.dispersion=gene-label: .* no labels"):
        Scvi(G, B, settings, torch.zeros(B), torch.ones(B), generator())


def test_gaussian_reconstruction_is_that_of_log_counts_around_the_scaled_proportions() -> None:
    model, (x, batch) = build(likelihood="gaussian", library="observed").eval(), cells()
    terms = model(x, batch, Noise(generator()))
    decoder, one_hot = model.decoder, torch.eye(B)[batch]
    rho = decoder.log_proportion(decoder.hidden(terms.z_nd, one_hot)).softmax(-1)
    variance = 0.01 + (-decoder.log_theta).exp()  # type: ignore[operator]
    expected = torch.distributions.Normal((x.sum(1, keepdim=True) * rho).log1p(), variance.sqrt())
    log_p: Tensor = expected.log_prob(x.log1p())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(terms.reconstruction_n, -log_p.sum(1))


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


@pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson", "gaussian"])
def test_no_draw_of_the_library_overflows(likelihood: str) -> None:
    """Whatever the encoder says; before, e^100 counts made the likelihood infinite or not a number."""
    model, (x, batch) = build(likelihood=likelihood).eval(), cells()
    assert isinstance(model.library, ModelledLibrary)
    assert model.library.most == 15
    model.library.encoder.mean.bias.data.fill_(100.0)
    assert model(x, batch, Noise(generator())).reconstruction_n.isfinite().all()


def test_the_bound_of_the_library_lets_larger_cells_through() -> None:
    large = torch.tensor([3.0, 16.0]), torch.tensor([0.2, 0.09])
    library = ModelledLibrary(G, Model.model_validate(VALUES), *large, generator())
    assert library.most == pytest.approx(16 + 5 * 0.3)


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
