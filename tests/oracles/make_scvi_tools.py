"""What scvi-tools computes for fixed weights and noise, stored for the parity test.

The stored numbers are those of scvi-tools 1.4.2; 1.5.1 computes the same. Runs where it is installed; needs
nothing of bie:

    python tests/oracles/make_scvi_tools.py                            # writes scvi_tools.npz.xz
    python tests/oracles/make_scvi_tools.py --check scvi_tools.npz.xz  # computes again and compares

Keys of the file are ``case/what/name``. A case is the fields of `Case` joined by commas; the outputs and
gradients exist in train mode (moments of the minibatch) and in eval mode (running moments). Beside the cases
lies ``schedule/kl_weight``, the weight of the KL term in epochs 0, 1, ... of a warm-up.

Computed in double precision, so that every processor gives the same numbers, and stored in single.
Of its likelihoods the normal one is left out: it is one of the counts as they are.
"""

import argparse
import io
import itertools
import lzma
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from scvi.module import VAE
from scvi.train._trainingplans import _compute_kl_weight

N_CELLS, N_GENES, N_HIDDEN, N_LATENT, N_LABELS = 24, 20, 8, 3, 4
WARMUP, EPOCHS = 8, 12


class Case(NamedTuple):
    likelihood: str = "zinb"
    dispersion: str = "gene"
    library: str = "modelled"
    n_batches: int = 3
    n_layers: int = 2
    covariates: str = "deep"  # in the decoder; encoded: in the encoders too; deep: at every layer
    kl_weight: float = 0.7


SIZES = [(2, 1), (3, 2)]  # batches, layers
CASES = [
    *(
        Case(likelihood, "gene", library, *size)
        for likelihood, library, size in itertools.product(["zinb", "nb"], ["observed", "modelled"], SIZES)
    ),
    Case("poisson", "gene", "observed", 2, 1, kl_weight=0.0),
    Case("poisson", "gene", "modelled", 3, 2, kl_weight=1.0),
    *(Case("zinb", dispersion) for dispersion in ("gene-batch", "gene-label", "gene-cell")),
    *(Case("nb", dispersion, "observed") for dispersion in ("gene-batch", "gene-label", "gene-cell")),
    Case(covariates="first"),
    Case(covariates="encoded-deep"),
    Case("nb", covariates="encoded-first"),
]


def make_all() -> dict[str, np.ndarray]:
    weights = [_compute_kl_weight(epoch, 0, WARMUP, None, 1.0, 0.0) for epoch in range(EPOCHS)]
    arrays = {"schedule/warmup_epochs": np.array(WARMUP), "schedule/kl_weight": np.array(weights)}
    for case in CASES:
        name = ",".join(map(str, case))
        arrays |= {f"{name}/{key}": value for key, value in make_case(case).items()}
    return arrays


def make_case(case: Case) -> dict[str, np.ndarray]:
    n_batches = case.n_batches
    random = np.random.default_rng([n_batches, case.n_layers])
    inputs = {
        "x": random.negative_binomial(0.5, 0.05, size=(N_CELLS, N_GENES)).astype(np.float32),
        "batch": random.permutation(np.arange(N_CELLS) % n_batches),
        "noise_z": random.normal(size=(N_CELLS, N_LATENT)).astype(np.float32),
        "noise_library": random.normal(size=(N_CELLS, 1)).astype(np.float32),
        "library_mean": random.normal(4.0, 0.3, size=n_batches).astype(np.float32),
        "library_variance": random.uniform(0.2, 0.5, size=n_batches).astype(np.float32),
    }
    inputs["label"] = np.random.default_rng(n_batches).permutation(np.arange(N_CELLS) % N_LABELS)
    weights = random_weights(build(case, inputs), random)
    made = {f"inputs/{key}": value for key, value in inputs.items()}
    made |= {f"weights/{key}": value for key, value in weights.items()}
    for mode in ("train", "eval"):
        module = build(case, inputs).double().train(mode == "train")
        module.load_state_dict({key: torch.tensor(value) for key, value in weights.items()}, strict=False)
        made |= {f"{mode}/{key}": value for key, value in run(module, inputs, case).items()}
    return made


def build(case: Case, inputs: dict[str, np.ndarray]) -> VAE:
    return VAE(
        n_input=N_GENES,
        n_batch=case.n_batches,
        n_labels=N_LABELS,
        n_hidden=N_HIDDEN,
        n_latent=N_LATENT,
        n_layers=case.n_layers,
        dropout_rate=0.0,
        dispersion=case.dispersion,
        gene_likelihood=case.likelihood,
        encode_covariates=case.covariates.startswith("encoded"),
        deeply_inject_covariates=case.covariates.endswith("deep"),
        use_observed_lib_size=case.library == "observed",
        library_log_means=inputs["library_mean"][None],
        library_log_vars=inputs["library_variance"][None],
    )


def random_weights(module: VAE, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights that leave no layer at a special value, for everything that takes part."""
    taking_part = {name for name, parameter in module.named_parameters() if takes_part(name, module)}
    running = {name for name in module.state_dict() if takes_part(name, module) and "running" in name}
    weights = {}
    for name, value in module.state_dict().items():
        if name in running and name.endswith("var"):
            weights[name] = random.uniform(0.5, 2.0, size=value.shape).astype(np.float32)
        elif name in taking_part | running:
            weights[name] = random.normal(0.0, 0.4, size=value.shape).astype(np.float32)
    return weights


def takes_part(name: str, module: VAE) -> bool:
    unused = ["decoder.px_r_decoder"] if module.dispersion != "gene-cell" else []
    unused += ["l_encoder"] if module.use_observed_lib_size else []
    unused += ["decoder.px_dropout_decoder"] if module.gene_likelihood != "zinb" else []
    unused += ["px_r"] if module.gene_likelihood == "poisson" else []
    return not name.startswith(tuple(unused))


def run(module: VAE, inputs: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
    """Terms of the loss for each cell, gradients, and the running moments afterwards."""
    tensors = {
        "X": torch.tensor(inputs["x"]).double(),
        "batch": torch.tensor(inputs["batch"])[:, None],
        "labels": torch.tensor(inputs["label"])[:, None],
    }
    draws = [torch.tensor(inputs[name]).double() for name in ("noise_z", "noise_library")]
    single = patch.object(torch.Tensor, "float", torch.Tensor.double)  # scvi-tools casts one-hot codes to it
    with single, patch("torch.distributions.normal._standard_normal", side_effect=draws):
        inferred, _, output = module(tensors, loss_kwargs={"kl_weight": case.kl_weight})
    output.loss.backward()
    made = {
        "z": inferred["z"],
        "reconstruction": only(output.reconstruction_loss),
        "kl_z": output.kl_local["kl_divergence_z"],
        "kl_library": output.kl_local["kl_divergence_l"],
        "loss": output.loss,
    }
    made |= {f"gradients/{n}": p.grad for n, p in module.named_parameters() if p.grad is not None}
    if module.training:
        state = module.state_dict()
        made |= {f"running/{n}": state[n] for n in state if "running" in n and takes_part(n, module)}
    return {name: value.detach().float().numpy() for name, value in made.items()}


def only(values: dict[str, torch.Tensor]) -> torch.Tensor:
    (value,) = values.values()
    return value


def differences(made: dict[str, np.ndarray], stored: dict[str, np.ndarray]) -> list[str]:
    """Names of unequal arrays."""
    if made.keys() != stored.keys():
        return sorted(made.keys() ^ stored.keys())
    return [
        name
        for name in made
        if not np.allclose(made[name], stored[name], rtol=1e-6, atol=1e-9, equal_nan=False)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", type=Path, help="compare with this file instead of writing one")
    check = parser.parse_args().check
    made = make_all()
    if check is None:
        file = io.BytesIO()
        np.savez(file, **made)
        Path(__file__).with_name("scvi_tools.npz.xz").write_bytes(lzma.compress(file.getvalue()))
        return 0
    with np.load(io.BytesIO(lzma.decompress(check.read_bytes()))) as stored:
        different = differences(made, dict(stored))
    print(f"{len(made)} arrays, {len(different)} differ", *different, sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
