"""Our scVI against scvi-tools 1.4.2: the same weights and noise give the same numbers.

The reference is stored by tests/oracles/make_scvi_tools.py.
"""

import io
import lzma
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from bie.config import Kl, Model
from bie.models.noise import Noise
from bie.models.scvi import Scvi
from bie.training.schedules import KlSchedule

FILE = Path(__file__).parents[1] / "oracles" / "scvi_tools.npz.xz"
REFERENCE = np.load(io.BytesIO(lzma.decompress(FILE.read_bytes())))
CASES = sorted({key.split("/")[0] for key in REFERENCE.files} - {"schedule"})

PARTS = {
    "z_encoder.": "encoder.",
    "l_encoder.": "library.encoder.",
    "decoder.px_decoder.": "decoder.hidden.",
    "encoder.encoder.": "encoder.hidden.",
    "mean_encoder.": "mean.",
    "var_encoder.": "log_variance.",
    "decoder.px_scale_decoder.0.": "decoder.log_proportion.",
    "decoder.px_dropout_decoder.": "decoder.zero_logit.",
    "decoder.px_r_decoder.": "decoder.log_theta.",
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
    likelihood, dispersion, library, n_batches, n_layers, covariates, _ = case.split(",")
    inputs = stored(f"{case}/inputs/")
    settings = Model.model_validate(
        {
            "name": "scvi",
            "n_latent": inputs["noise_z"].shape[1],
            "n_hidden": REFERENCE[f"{case}/weights/z_encoder.mean_encoder.weight"].shape[1],
            "n_layers": int(n_layers),
            "dropout": 0.0,
            "likelihood": likelihood,
            "dispersion": dispersion,
            "library": library,
            "batch_covariate": True,
            "encode_covariates": covariates.startswith("encoded"),
            "deeply_inject_covariates": covariates.endswith("deep"),
            "variance_floor": 1e-4,
        }
    )
    mean, variance = (torch.from_numpy(inputs[name]) for name in ("library_mean", "library_variance"))
    sizes, n_labels = (inputs["x"].shape[1], int(n_batches)), int(inputs["label"].max()) + 1
    model = Scvi(*sizes, settings, mean, variance, torch.Generator(), n_labels)
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
    x, batch, label = (torch.from_numpy(inputs[name]) for name in ("x", "batch", "label"))
    terms = model(x, batch, noise, label)
    kl_weight = float(case.split(",")[-1])
    loss = (terms.reconstruction_n + terms.kl_library_n + kl_weight * terms.kl_z_n).mean()
    torch.autograd.backward(loss)
    values = terms.z_nd, terms.reconstruction_n, terms.kl_z_n, terms.kl_library_n
    for name, value in zip(("z", "reconstruction", "kl_z", "kl_library"), values, strict=True):
        np.testing.assert_allclose(value.detach(), expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert loss.item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    # A Poisson gradient is that of counts minus means: the difference of large numbers, in single precision.
    tolerance = 1e-4 if case.startswith("poisson") else 1e-5
    same_gradients(model, tensors(f"{case}/{mode}/gradients/"), tolerance)
    for name, value in tensors(f"{case}/train/running/").items() if mode == "train" else ():
        torch.testing.assert_close(model.get_buffer(name), value, rtol=1e-5, atol=1e-6)


def same_gradients(model: Scvi, expected: dict[str, Tensor], tolerance: float) -> None:
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, gradient in found.items():
        # Before batch norm a bias has no effect: its gradient is rounding error of the weight's.
        scale = max(expected[name].norm(), expected[name.replace("bias", "weight")].norm())
        assert (gradient - expected[name]).norm() <= tolerance * scale, name


def test_posterior_mean_is_the_sample_without_noise() -> None:
    (case,) = [name for name in CASES if "encoded-deep" in name]
    model, inputs = build(case).eval(), stored(f"{case}/inputs/")
    x, batch = (torch.from_numpy(inputs[name]) for name in ("x", "batch"))
    noise = Fixed(torch.zeros(inputs["noise_z"].shape), torch.zeros(inputs["noise_library"].shape))
    torch.testing.assert_close(model.posterior_mean(x, batch), model(x, batch, noise).z_nd)


def test_the_weight_of_the_kl_warms_up_alike() -> None:
    warmup_epochs = int(REFERENCE["schedule/warmup_epochs"])
    settings = Kl(mode="warmup", warmup_epochs=warmup_epochs, weight=1.0, capacity=0.0, gamma=0.0)
    expected = REFERENCE["schedule/kl_weight"]
    found = [KlSchedule(settings).weight(epoch) for epoch in range(len(expected))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert 0.0 in found[:1]
    assert 1.0 in found
