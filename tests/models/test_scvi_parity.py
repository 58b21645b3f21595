"""Our scVI against scvi-tools 1.4.2: the same weights and noise give the same numbers.

The reference is stored by tests/oracles/make_scvi_tools.py.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.config import Model
from bie.models.noise import Noise
from bie.models.scvi import Scvi

REFERENCE = np.load(Path(__file__).parents[1] / "oracles" / "scvi_tools.npz")
CASES = sorted({key.split("/")[0] for key in REFERENCE.files})
KL_WEIGHT = 0.7

PARTS = {
    "z_encoder.": "encoder.",
    "l_encoder.": "library.encoder.",
    "decoder.px_decoder.": "decoder.hidden.",
    "encoder.encoder.": "encoder.hidden.",
    "mean_encoder.": "mean.",
    "var_encoder.": "log_variance.",
    "decoder.px_scale_decoder.0.": "decoder.log_proportion.",
    "decoder.px_dropout_decoder.": "decoder.zero_logit.",
    "running_var": "running_variance",
}


class Fixed(Noise):
    """Gives the stored draws, in order."""

    def __init__(self, *draws: Tensor) -> None:
        self.draws = list(draws)

    def normal(self, shape: Sequence[int]) -> Tensor:
        draw = self.draws.pop(0)
        assert draw.shape == tuple(shape)
        return draw


def ours(name: str) -> str:
    """Our name of a weight of scvi-tools."""
    if name == "px_r":
        return "decoder.log_theta"
    for theirs, here in PARTS.items():
        name = name.replace(theirs, here)
    for layer in ("Layer 0", "Layer 1"):
        name = name.replace(f"fc_layers.{layer}.0.", f"linears.{layer[-1]}.")
        name = name.replace(f"fc_layers.{layer}.1.", f"norms.{layer[-1]}.")
    return name


def stored(prefix: str) -> dict[str, NDArray[np.float32]]:
    return {key.removeprefix(prefix): REFERENCE[key] for key in REFERENCE.files if key.startswith(prefix)}


def tensors(prefix: str) -> dict[str, Tensor]:
    """Stored weights, gradients or moments under our names and in our shapes."""
    found = {ours(name): torch.from_numpy(value) for name, value in stored(prefix).items()}
    return {name: value.mT if value.ndim == 2 else value[None] for name, value in found.items()}


def build(case: str) -> Scvi:
    likelihood, library, n_batches, n_layers = case.split("-")
    inputs = stored(f"{case}/inputs/")
    settings = Model.model_validate(
        {
            "name": "scvi",
            "n_latent": inputs["noise_z"].shape[1],
            "n_hidden": REFERENCE[f"{case}/weights/z_encoder.mean_encoder.weight"].shape[1],
            "n_layers": int(n_layers),
            "dropout": 0.0,
            "likelihood": likelihood,
            "dispersion": "gene",
            "library": library,
            "batch_covariate": True,
            "encode_covariates": False,
            "deeply_inject_covariates": True,
            "variance_floor": 1e-4,
        }
    )
    mean, variance = (torch.from_numpy(inputs[name]) for name in ("library_mean", "library_variance"))
    model = Scvi(inputs["x"].shape[1], int(n_batches), settings, mean, variance, torch.Generator())
    priors = {name: value for name, value in model.state_dict().items() if name.endswith("_b1")}
    model.load_state_dict(tensors(f"{case}/weights/") | priors)
    return model


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("case", CASES)
def test_same_terms_and_gradients(case: str, mode: str) -> None:
    model, inputs, expected = (
        build(case).train(mode == "train"),
        stored(f"{case}/inputs/"),
        stored(f"{case}/{mode}/"),
    )
    noise = Fixed(torch.from_numpy(inputs["noise_z"]), torch.from_numpy(inputs["noise_library"]))
    terms = model(torch.from_numpy(inputs["x"]), torch.from_numpy(inputs["batch"]), noise)
    loss = (terms.reconstruction_n + terms.kl_library_n + KL_WEIGHT * terms.kl_z_n).mean()
    torch.autograd.backward(loss)
    for name, value in zip(("z", "reconstruction", "kl_z", "kl_library"), terms, strict=True):
        np.testing.assert_allclose(value.detach(), expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert loss.item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    same_gradients(model, tensors(f"{case}/{mode}/gradients/"))
    for name, value in tensors(f"{case}/train/running/").items() if mode == "train" else ():
        torch.testing.assert_close(model.get_buffer(name), value, rtol=1e-5, atol=1e-6)


def same_gradients(model: Scvi, expected: dict[str, Tensor]) -> None:
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, gradient in found.items():
        # Before batch norm a bias has no effect: its gradient is rounding error of the weight's.
        scale = max(expected[name].norm(), expected[name.replace("bias", "weight")].norm())
        assert (gradient - expected[name]).norm() <= 1e-5 * scale, name


def test_posterior_mean_is_the_sample_without_noise() -> None:
    model, inputs = build(CASES[0]).eval(), stored(f"{CASES[0]}/inputs/")
    x = torch.from_numpy(inputs["x"])
    noise = Fixed(torch.zeros(inputs["noise_z"].shape), torch.zeros(inputs["noise_library"].shape))
    terms = model(x, torch.from_numpy(inputs["batch"]), noise)
    torch.testing.assert_close(model.posterior_mean(x), terms.z_nd)
