"""Methods of other packages, where these are installed: see scripts/peers."""

import dataclasses
import inspect
import pickle
import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bie.config import Model, RunConfig
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods import build_embedder
from bie.metrics.cards import LOSS_TERMS, METRICS
from bie.result import Result
from bie.seeds import Streams

Configure = Callable[..., RunConfig]
Run = Callable[..., Result]
TRAIN, TEST = np.arange(300), np.arange(300, 400)

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
harmonypy = pytest.mark.skipif(find_spec("harmonypy") is None, reason="harmonypy is not installed")
scvi_tools = pytest.mark.skipif(find_spec("scvi") is None, reason="scvi-tools is not installed")


def latent(config: RunConfig, cells: Cells) -> NDArray[np.float32]:
    embedder = build_embedder(config.model, None, config.train)
    embedder.fit(cells, TRAIN, TEST, Streams(0), lambda row: None)
    return embedder.embed(cells, np.arange(cells.n_cells))


@harmonypy
def test_harmony_mixes_what_its_components_do_not(run: Run) -> None:
    raw, corrected = run("model=pca"), run("model=harmony")
    for part in ("train", "test"):
        assert corrected.metrics[part].keys() == METRICS.keys() | LOSS_TERMS.keys() | {"critic_bound"}
        before, after = (result.metrics[part]["be_ratio"] for result in (raw, corrected))
        assert before is not None
        assert after is not None
        assert after > before + 0.05
    assert corrected.missing.keys() == raw.missing.keys() >= LOSS_TERMS.keys() | {"critic_bound"}
    assert run("model=harmony").metrics == corrected.metrics


@harmonypy
def test_harmony_without_diversity_is_weaker(run: Run) -> None:
    weak, strong = (run("model=harmony", f"model.theta={theta}").metrics["train"] for theta in (0, 4))
    assert weak["be_ratio"] is not None
    assert strong["be_ratio"] is not None
    assert weak["be_ratio"] < strong["be_ratio"]


@scvi_tools
@pytest.mark.parametrize("library", ["modelled", "observed"])
def test_scvi_tools_trains_and_repeats_itself(configure: Configure, cells: Cells, library: str) -> None:
    config = configure("model=scvi_tools", "model.epochs=5", f"model.library={library}")
    z_nd = latent(config, cells)
    assert z_nd.shape == (400, 10)
    assert np.isfinite(z_nd).all()
    np.testing.assert_array_equal(z_nd, latent(config, cells))


@scvi_tools
def test_scvi_tools_leaves_the_global_generators_alone(configure: Configure, cells: Cells) -> None:
    def states() -> bytes:
        return pickle.dumps((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist()))

    before = states()
    latent(configure("model=scvi_tools", "model.epochs=1"), cells)
    assert states() == before


@scvi_tools
def test_held_out_cells_do_not_train_scvi_tools(configure: Configure, cells: Cells) -> None:
    altered = cells.counts.copy()
    altered.data[altered.indptr[300] :] += 50
    config = configure("model=scvi_tools", "model.epochs=3", "model.library=observed")
    one, other = latent(config, cells), latent(config, dataclasses.replace(cells, counts=altered))
    np.testing.assert_array_equal(one[TRAIN], other[TRAIN])
    assert not np.array_equal(one[TEST], other[TEST])


@scvi_tools
def test_scvi_tools_survives_a_last_minibatch_of_one_cell(configure: Configure, cells: Cells) -> None:
    config = configure("model=scvi_tools", "model.epochs=2", "model.batch_size=299")
    assert np.isfinite(latent(config, cells)).all()


def test_scvi_tools_has_no_prior_for_a_batch_without_spread(
    configure: Configure, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bie.methods.scvi_tools.needs", lambda *_: None)
    odd = dataclasses.replace(cells, batch=(np.arange(400) == 3).astype(np.int64))
    modelled, observed = (
        configure("model=scvi_tools", f"model.library={x}") for x in ("modelled", "observed")
    )
    build_embedder(modelled.model, None, modelled.train).check(cells, 240)
    build_embedder(observed.model, None, observed.train).check(odd, 240)
    with pytest.raises(BadInput, match=r"cells of batch batch_1 all .* total count.*model\.library=observed"):
        build_embedder(modelled.model, None, modelled.train).check(odd, 240)


@scvi_tools
def test_scvi_tools_learns_the_types(run: Run) -> None:
    untrained, trained = (run("model=scvi_tools", f"model.epochs={n}").metrics["test"] for n in (1, 60))
    assert trained["nmi"] is not None
    assert untrained["nmi"] is not None
    assert trained["nmi"] > untrained["nmi"] + 0.05


def defaults(function: Callable[..., object]) -> dict[str, Any]:
    """What a function takes where nothing is said."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


@scvi_tools
def test_the_preset_is_what_scvi_tools_does_by_default(configure: Configure) -> None:
    import scvi
    from scvi.model._utils import get_max_epochs_heuristic

    theirs = (
        defaults(scvi.module.VAE.__init__)
        | defaults(scvi.train.TrainingPlan.__init__)
        | defaults(scvi.model.SCVI.__init__)
    )
    theirs |= {"epochs": get_max_epochs_heuristic(20_000), "batch_size": scvi.settings.batch_size}
    config = configure("preset=scvi_tools", "train=full")
    model, train = config.model, config.train
    assert isinstance(model, Model)
    ours = {
        "n_latent": model.n_latent,
        "n_hidden": model.n_hidden,
        "n_layers": model.n_layers,
        "dropout_rate": model.dropout,
        "gene_likelihood": model.likelihood,
        "dispersion": model.dispersion,
        "use_observed_lib_size": model.library == "observed",
        "encode_covariates": model.encode_covariates,
        "deeply_inject_covariates": model.deeply_inject_covariates,
        "var_eps": model.variance_floor,
        "lr": train.lr,
        "weight_decay": train.weight_decay,
        "eps": train.adam_eps,
        "n_epochs_kl_warmup": train.kl.warmup_epochs,
        "max_kl_weight": train.kl.weight,
        "batch_size": train.batch_size,
        "epochs": train.epochs,
    }
    theirs |= {"var_eps": defaults(scvi.nn.Encoder.__init__)["var_eps"]}
    assert ours == {key: theirs[key] for key in ours}
