"""Controls, of which it is known beforehand what they score."""

import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bie.config import Control, RunConfig
from bie.data.cells import Cells
from bie.errors import BadInput
from bie.methods import build_embedder, check
from bie.metrics import critic_audit
from bie.metrics.cards import LOSS_TERMS, METRICS
from bie.plan import main as plan
from bie.planning.compose import Configurations
from bie.planning.expand import expand
from bie.result import Result
from bie.seeds import Streams

Configure = Callable[..., RunConfig]
SHUFFLES = ("shuffled", "shuffled_within_batch", "shuffled_within_type")
CONTROLS = ("noise", "batch_only", "labels_only", "pca", *SHUFFLES)
KNOW_THE_BATCH = {"batch_only", "pca", "shuffled_within_batch"}
KNOW_NO_TYPE = {"noise", "batch_only", "shuffled", "shuffled_within_batch"}
SAY_NOTHING_OF_THE_EMBEDDING = {"be_ceiling", "probe_f1_random"}
OPTIONAL = {name for name, metric in METRICS.items() if metric.card.optional}
OF_TYPES = {"asw", "nmi", "ari", "uca", "isolated_labels", "clisi", "knn_purity", "graph_connectivity"}
PARTS = ("train", "test")


@pytest.fixture(scope="module")
def results(run: Callable[..., Result]) -> dict[str, Result]:
    return {name: run(f"model={name}", "save.embedding=true", "save.model=true") for name in CONTROLS}


def value(results: dict[str, Result], model: str, part: str, metric: str) -> float:
    found = results[model].metrics[part][metric]
    assert found is not None
    return found


@pytest.mark.parametrize("part", PARTS)
def test_noise_mixes_and_knows_no_type(results: dict[str, Result], part: str) -> None:
    assert value(results, "noise", part, "be_ratio") > 0.95
    assert abs(value(results, "noise", part, "mi_ross")) < 0.1
    assert abs(value(results, "noise", part, "ari")) < 0.05
    assert value(results, "noise", part, "asw") < 0.05
    assert value(results, "noise", part, "probe_auc") == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("part", PARTS)
def test_the_batch_alone_mixes_nothing(results: dict[str, Result], cells: Cells, part: str) -> None:
    share_b = np.bincount(cells.batch) / cells.n_cells
    assert value(results, "batch_only", part, "be_ratio") < 0.01
    assert (
        value(results, "batch_only", part, "probe_f1") == value(results, "batch_only", part, "probe_auc") == 1
    )
    assert value(results, "batch_only", part, "mi_ross") == pytest.approx(
        -sum(p * math.log(p) for p in share_b), abs=0.05
    )
    assert abs(value(results, "batch_only", part, "ari")) < 0.05


@pytest.mark.parametrize("part", PARTS)
def test_the_types_alone_win_everywhere(results: dict[str, Result], part: str) -> None:
    assert value(results, "labels_only", part, "ari") == value(results, "labels_only", part, "uca") == 1
    assert value(results, "labels_only", part, "asw") > 0.8
    assert value(results, "labels_only", part, "be_ratio") > 0.95
    assert abs(value(results, "labels_only", part, "mi_ross")) < 0.1
    null = value(results, "labels_only", part, "probe_f1_random")
    assert value(results, "labels_only", part, "probe_f1") < null + 0.1


@pytest.mark.parametrize("part", PARTS)
def test_uncorrected_components_know_type_and_batch(results: dict[str, Result], part: str) -> None:
    assert value(results, "noise", part, "ari") + 0.05 < value(results, "pca", part, "ari")
    assert value(results, "pca", part, "ari") < value(results, "labels_only", part, "ari")
    assert value(results, "pca", part, "be_ratio") < 0.5
    assert value(results, "pca", part, "probe_f1") > 0.95


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("metric", sorted(METRICS.keys() - SAY_NOTHING_OF_THE_EMBEDDING - OPTIONAL))
def test_controls_are_in_the_right_order_on_every_metric(
    results: dict[str, Result], part: str, metric: str
) -> None:
    """What knows types above what knows none; what knows no batch above what does."""
    sign = {"higher": 1, "lower": -1}[METRICS[metric].card.direction]
    score = {name: sign * value(results, name, part, metric) for name in CONTROLS}
    worse = KNOW_NO_TYPE if metric in OF_TYPES else KNOW_THE_BATCH
    better = {"labels_only"} if metric in OF_TYPES else set(CONTROLS) - KNOW_THE_BATCH
    assert max(score[name] for name in worse) < min(score[name] for name in better), score


@pytest.mark.parametrize("name", SHUFFLES)
def test_shuffles_deal_out_components_within_their_groups(
    configure: Configure, cells: Cells, name: str
) -> None:
    rows = np.arange(cells.n_cells)
    both = []
    for model in ("pca", name):
        config = configure(f"model={model}")
        embedder = build_embedder(config.model, None, config.train)
        embedder.fit(cells, rows[:200], rows[200:], Streams(0), lambda row: None)
        both.append(embedder.embed(cells, rows))
    where = {vector.tobytes(): i for i, vector in enumerate(both[0])}
    source_n = np.array([where[vector.tobytes()] for vector in both[1]])
    assert sorted(source_n) == rows.tolist()
    assert (source_n == rows).mean() < 0.1
    for column, keeps in ((cells.batch, "batch"), (cells.label, "type")):
        assert column is not None
        assert (column[source_n] == column).all() == name.endswith(keeps)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_record_is_complete(results: dict[str, Result], name: str) -> None:
    result = results[name]
    for part in PARTS:
        absent = LOSS_TERMS.keys() | critic_audit.CARDS.keys()
        assert result.metrics[part].keys() == METRICS.keys() | absent
        without = {metric for metric, found in result.metrics[part].items() if found is None}
        assert without == absent | OPTIONAL
    assert {name for name, why in result.missing.items() if why == "no likelihood"} == LOSS_TERMS.keys()
    assert result.missing["critic_bound"] == "no critic"
    assert result.missing.keys() == without
    assert result.history == []
    assert result.files.keys() == {"embedding.npz"}  # there is no model to save


@pytest.mark.parametrize("name", CONTROLS)
def test_the_saved_embedding_is_that_of_all_cells(
    results: dict[str, Result], cells: Cells, name: str
) -> None:
    saved = np.load(io.BytesIO(results[name].files["embedding.npz"]))
    assert saved["z"].shape == (cells.n_cells, 10)
    assert saved["z"].dtype == np.float32
    assert saved["cell"].tolist() == cells.cell_names.tolist()
    assert sorted(set(saved["split"])) == ["test", "train"]


@pytest.mark.parametrize("name", CONTROLS)
def test_same_seed_same_bits_other_seed_others(configure: Configure, cells: Cells, name: str) -> None:
    config = configure(f"model={name}")
    rows = np.arange(cells.n_cells)

    def latent(seed: int) -> bytes:
        embedder = build_embedder(config.model, config.penalty, config.train)
        assert embedder.fit(cells, rows[:200], rows[200:], Streams(seed), lambda row: None) == []
        return embedder.embed(cells, rows).tobytes()

    assert latent(0) == latent(0)
    if name == "pca":  # whose components do not depend on where one starts, up to rounding
        one, other = (np.frombuffer(latent(seed), np.float32) for seed in (0, 1))
        np.testing.assert_allclose(one, other, atol=1e-5)
    else:
        assert latent(0) != latent(1)


def test_components_equal_a_dense_decomposition(configure: Configure, cells: Cells) -> None:
    config = configure("model=pca", "model.n_latent=4")
    train, test = np.arange(100, 300), np.arange(350, 400)
    embedder = build_embedder(config.model, None, config.train)
    embedder.fit(cells, train, test, Streams(0), lambda row: None)

    x_ng = cells.counts.toarray().astype(np.float64)
    total_n = x_ng.sum(axis=1)
    y_ng = np.log(1 + x_ng / total_n[:, None] * np.median(total_n[train]))
    y_ng -= y_ng[train].mean(axis=0)
    _, _, axis_dg = np.linalg.svd(y_ng[train])
    expected_nd = y_ng[test] @ axis_dg[:4].T
    found_nd = embedder.embed(cells, test)
    sign_d = np.sign((expected_nd * found_nd).sum(axis=0))
    np.testing.assert_allclose(found_nd * sign_d, expected_nd, rtol=1e-4, atol=1e-4)


def test_held_out_cells_do_not_move_the_components(configure: Configure, cells: Cells) -> None:
    config = configure("model=pca")
    train, test = np.arange(300), np.arange(300, 400)
    altered = cells.counts.copy()
    altered.data[altered.indptr[300] :] += 50
    one, other = (build_embedder(config.model, None, config.train) for _ in range(2))
    one.fit(cells, train, test, Streams(0), lambda row: None)
    other.fit(dataclasses.replace(cells, counts=altered), train, test, Streams(0), lambda row: None)
    np.testing.assert_array_equal(one.embed(cells, train), other.embed(cells, train))


# At the door


def test_keys_that_train_do_not_multiply_controls(configurations: Configurations) -> None:
    typed = ["model=scvi,scvi_mine,pca", "train.lr=1e-3,5e-4", "init_seed=1,2", "mine.scale=1,2"]
    found = expand(typed, configurations).combinations
    pca = [combination for combination in found if combination.config.model.name == "pca"]
    assert len({str(c.config.scientific()) for c in pca}) == 1
    assert all(combination.grid == {} for combination in pca)
    assert set(pca[0].reasons) == {
        f"{key} does not act on model=pca" for key in ("train.lr", "init_seed", "mine.scale")
    }
    assert len({str(c.config.scientific()) for c in found}) == 4 + 8 + 1


def test_what_a_control_has_multiplies_it(configurations: Configurations) -> None:
    typed = ["model=noise,batch_only", "model.sd=0.1,0.2", "model.n_latent=2,4", "model.n_hidden=64,128"]
    found = expand(typed, configurations).combinations
    assert len({str(c.config.scientific()) for c in found}) == 2 + 4
    assert found[0].reasons == [
        "model.sd does not act on model=noise",
        "model.n_hidden does not act on model=noise",
    ]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["model=noise", "model.n_latent=0"], r"model\.n_latent=0: .*\(>= 1, <= 1000\)"),
        (["model=batch_only", "model.sd=0"], r"model\.sd=0: .*> 0"),
        (["model=scvi", "model.dropout=1"], r"model\.dropout=1: .*< 1"),
        (["model=noise", "model.n_laten=3"], r"Did you mean model\.n_latent\?"),
    ],
)
def test_bad_values_are_named(typed: list[str], says: str, configurations: Configurations) -> None:
    with pytest.raises(BadInput, match=says):
        expand(typed, configurations)


def test_a_penalty_has_nothing_to_act_on(configure: Configure) -> None:
    penalised, control = configure("model=scvi_mine"), configure("model=pca")
    with pytest.raises(BadInput, match=r"mine: model\.method=pca trains nothing"):
        RunConfig.model_validate(dict(control) | dict([penalised.penalty or ("none", None)]))


@pytest.mark.parametrize("name", ["labels_only", "shuffled_within_type"])
def test_labels_are_needed(configure: Configure, cells: Cells, name: str) -> None:
    settings = configure(f"model={name}").model
    assert isinstance(settings, Control)
    check(settings, cells, 100)
    with pytest.raises(BadInput, match=rf"model={name}: .*dataset\.label_key="):
        check(settings, dataclasses.replace(cells, label=None, labels=()), 100)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["model=pca", "model.n_latent=100"], "at most 99"),
        (["model=harmony"], "pip install 'harmonypy>=2'"),
        (["model=scvi_tools"], "pip install 'scvi-tools>=1.4'"),
    ],
)
def test_what_is_lacking_ends_before_anything_starts(
    typed: list[str],
    says: str,
    in_tmp: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert plan(["dataset.size=smoke", *typed]) == 2
    assert says in capsys.readouterr().err
    assert list(in_tmp.iterdir()) == []


def test_every_control_is_an_embedder(configurations: Configurations) -> None:
    of_other_kinds = {"critic", "neighbours", "sklearn", "deep_sets", "set_mean"}
    for name in set(configurations.groups["model"]) - of_other_kinds:
        config = expand([f"model={name}"], configurations).combinations[0].config
        assert isinstance(config.model, Control) == ("train" not in config.scientific())
        assert build_embedder(config.model, config.penalty, config.train)
