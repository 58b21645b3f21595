import json
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from bie.config import Metrics
from bie.metrics import critic_audit, estimation, retrieval, scib
from bie.metrics.cards import CARDS, METRICS
from bie.metrics.mixing import be, be_ceiling
from bie.metrics.neighbourhoods import knn_purity
from bie.metrics.neighbours import nearest
from bie.metrics.score import score
from bie.seeds import Streams

Codes = NDArray[np.int64]
CLUSTERS = {"nmi", "ari", "uca"}
TYPES = {"asw", *CLUSTERS, "isolated_labels", "clisi", "knn_purity", "graph_connectivity"}
WITHIN_TYPES = {"kbet", "silhouette_batch", "bras", "ot_ratio"}
LABELLED = TYPES | WITHIN_TYPES
MIXING = {"be", "be_ceiling", "be_ratio", "ilisi", "pcr"}
PROBES = {"probe_f1", "probe_auc", "probe_f1_random"}
OPTIONAL = dict.fromkeys(
    ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness"), "generative factors not known"
) | dict.fromkeys(("type_accuracy", "type_f1"), "the model predicts no cell types")


def settings(
    neighbours: int = 20, pools: int | None = None, clusters: str = "present", names: str = "bie"
) -> Metrics:
    be = {"neighbours": neighbours, "pools": pools}
    return Metrics.model_validate({"names": names, "kmeans": {"n_init": 5, "clusters": clusters}, "be": be})


def cells(n: int = 300, seed: int = 0) -> tuple[NDArray[np.float32], Codes, Codes]:
    rng = np.random.default_rng(seed)
    label_n = np.arange(n) % 3
    z_nd = rng.normal(scale=0.3, size=(n, 4)) + 3 * np.eye(3, 4)[label_n]
    return z_nd.astype(np.float32), rng.integers(2, size=n), label_n


def scored(
    z_nd: NDArray[np.float32],
    batch_n: Codes,
    label_n: Codes | None,
    n_batches: int = 2,
    n_labels: int = 3,
    metrics: Metrics | None = None,
) -> tuple[dict[str, float | None], dict[str, str]]:
    x_ng = sp.csr_matrix(np.random.default_rng(0).poisson(2.0, (len(z_nd), 30)).astype(np.float32))
    found = score(
        z_nd,
        batch_n,
        n_batches,
        label_n,
        n_labels,
        metrics or settings(),
        Streams(0),
        counts_of=x_ng.__getitem__,
    )
    assert found.notes.keys() <= found.values.keys()
    return found.values, found.missing


def test_perfect_embedding() -> None:
    z_nd, batch_n, label_n = cells()
    values, missing = scored(z_nd, batch_n, label_n)
    assert missing == OPTIONAL
    assert values.keys() == METRICS.keys()
    assert [values[name] for name in ("nmi", "ari", "uca")] == pytest.approx([1, 1, 1])
    assert values["asw"] == pytest.approx(0.85, abs=0.1)
    assert values["be_ratio"] == pytest.approx(1.0, abs=0.05)
    assert values["mi_ross"] == pytest.approx(0.0, abs=0.1)
    assert values["be_ceiling"] == be_ceiling(batch_n, 2, 20)
    assert values["probe_f1"] == pytest.approx(values["probe_f1_random"], abs=0.1)
    assert values["probe_auc"] == pytest.approx(0.5, abs=0.1)


def test_embedding_of_the_batch_alone() -> None:
    z_nd, batch_n, label_n = cells()
    values, _ = scored(z_nd * 0.01 + batch_n[:, None].astype(np.float32), batch_n, label_n)
    assert values["be"] == values["be_ratio"] == 0.0
    entropy = -sum(p * math.log(p) for p in np.bincount(batch_n) / len(batch_n))
    assert values["mi_ross"] == pytest.approx(entropy, abs=0.02)
    assert values["probe_f1"] == values["probe_auc"] == 1.0
    assert values["probe_f1_random"] == pytest.approx(0.5, abs=0.1)


def test_same_input_gives_the_same_bits() -> None:
    z_nd, batch_n, label_n = cells()
    metrics = settings(pools=50)
    assert scored(z_nd, batch_n, label_n, metrics=metrics) == scored(z_nd, batch_n, label_n, metrics=metrics)


def test_pools_change_batch_entropy_only() -> None:
    z_nd, batch_n, label_n = cells()
    z_nd[:, 3] += batch_n
    every, _ = scored(z_nd, batch_n, label_n)
    pooled, _ = scored(z_nd, batch_n, label_n, metrics=settings(pools=50))
    assert {name for name in every if every[name] != pooled[name]} == {"be", "be_ratio"}


def test_float32_is_computed_in_float64() -> None:
    z_nd, batch_n, label_n = cells()
    single, _ = scored(z_nd, batch_n, label_n)
    double, _ = scored(z_nd.astype(np.float64), batch_n, label_n)  # type: ignore[arg-type]
    assert single == double
    assert {type(value) for name, value in single.items() if name not in OPTIONAL} == {float}


def test_more_neighbours_than_cells() -> None:
    z_nd, batch_n, label_n = cells(9)
    values, _ = scored(z_nd, batch_n, label_n, metrics=settings(neighbours=50))
    assert values["be_ceiling"] == be_ceiling(batch_n, 2, 8)


def test_missing_labels() -> None:
    z_nd, batch_n, _ = cells()
    values, missing = scored(z_nd, batch_n, None, n_labels=0)
    assert missing == dict.fromkeys(LABELLED, "no labels") | OPTIONAL
    assert all((values[name] is None) == (name in missing) for name in values)


def test_one_label_and_one_batch() -> None:
    z_nd, batch_n, label_n = cells()
    _, missing = scored(z_nd, batch_n * 0, label_n * 0)
    assert missing.keys() == {*LABELLED - {"graph_connectivity"}, *MIXING, *PROBES, "mi_ross", *OPTIONAL}
    assert missing["ari"] == "cells of one label only"
    assert missing["be_ratio"] == "cells of one batch only"


def test_a_part_that_lacks_a_label_and_a_batch() -> None:
    z_nd, batch_n, _ = cells()
    label_n = np.arange(len(z_nd)) % 3 == 0
    values, missing = scored(z_nd, batch_n, label_n.astype(np.int64), n_batches=3)
    assert missing == OPTIONAL
    torn, _ = scored(z_nd, batch_n, label_n.astype(np.int64), n_batches=3, metrics=settings(clusters="all"))
    assert torn["uca"] == pytest.approx(0.67, abs=0.05)  # three clusters for two labels
    assert {"ari", "nmi"} <= {name for name in values if values[name] != torn[name]} <= CLUSTERS


def test_an_embedding_that_knows_the_types_scores_one_though_rare_ones_are_absent() -> None:
    rng = np.random.default_rng(0)
    label_n = np.repeat([0, 1, 2, 4], [150, 120, 7, 2])  # of six types
    z_nd = (rng.normal(size=(6, 10))[label_n] + 0.1 * rng.normal(size=(279, 10))).astype(np.float32)
    values, _ = scored(z_nd, rng.integers(2, size=279), label_n, n_labels=6)
    assert [values[name] for name in ("ari", "nmi", "uca", "knn_purity")] == pytest.approx([1, 1, 1, 1])
    torn, _ = scored(z_nd, rng.integers(2, size=279), label_n, n_labels=6, metrics=settings(clusters="all"))
    assert torn["ari"] is not None
    assert torn["ari"] < 0.9


def test_scib_has_its_names_and_its_scaling() -> None:
    z_nd, batch_n, label_n = cells()
    z_nd[:, 3] += batch_n
    ours, _ = scored(z_nd, batch_n, label_n)
    theirs, missing = scored(z_nd, batch_n, label_n, metrics=settings(names="scib"))
    assert missing == OPTIONAL
    assert theirs.keys() == METRICS.keys() | scib.CARDS.keys()
    assert {name for name in ours if ours[name] != theirs[name]} <= {"nmi"}
    value = {name: v for name, v in theirs.items() if v is not None}
    assert value["asw_label"] == pytest.approx((value["asw"] + 1) / 2)
    assert value["asw_batch"] == value["silhouette_batch"]
    bio = np.mean([value[name] for name in scib.BIO])
    batch = np.mean([value[name] for name in scib.BATCH])
    assert value["scib_total"] == pytest.approx(0.6 * bio + 0.4 * batch)
    _, missing = scored(z_nd, batch_n, None, n_labels=0, metrics=settings(names="scib"))
    assert missing["asw_label"] == "no labels"
    assert missing["scib_total"] == "one of its two sides is missing"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_cells_is_missing_not_an_error(n: int) -> None:
    z_nd, _, label_n = cells(n)
    values, missing = scored(z_nd, np.arange(n) % 2, label_n)
    assert missing.keys() >= LABELLED
    assert all((values[name] is None) == (name in missing) for name in values)
    assert all(value is None or math.isfinite(value) for value in values.values())


def test_collapsed_embedding() -> None:
    z_nd, batch_n, label_n = cells()
    _, missing = scored(z_nd * 0, batch_n, label_n)
    assert missing.keys() == METRICS.keys() - {"be_ceiling", "probe_f1_random"}
    assert missing["kbet"] == "all latent vectors are equal"
    assert missing["ari"] == "1 distinct latent vectors for 3 clusters"
    assert OPTIONAL.items() <= missing.items()


def test_of_many_cells_what_is_of_a_sample_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    z_nd, batch_n, label_n = cells(400)
    exact = score(z_nd, batch_n, 2, label_n, 3, settings(), Streams(0))
    monkeypatch.setattr("bie.metrics.neighbours.MOST_CELLS_EXACT", 399)
    monkeypatch.setattr("bie.metrics.neighbours.SAMPLE", 300)
    monkeypatch.setattr("bie.metrics.part.SAMPLE", 300)
    monkeypatch.setattr("bie.metrics.dependence.SAMPLE", 300)
    monkeypatch.setattr("bie.metrics.silhouette.MOST_PAIRS", 5000)
    monkeypatch.setattr("bie.metrics.silhouette.FEWEST_ROWS", 200)
    found = score(z_nd, batch_n, 2, label_n, 3, settings(), Streams(0))
    for name in ("be", "be_ratio", "ilisi", "clisi", "kbet", "knn_purity", "graph_connectivity"):
        assert found.notes[name] == "around 300 of 400 cells, drawn at random"
        assert found.values[name] == pytest.approx(exact.values[name], abs=0.05)
    drawn = np.sort(Streams(0).numpy("neighbours").choice(400, 300, replace=False))
    near_nk = nearest(z_nd.astype(np.float64), 89).index_qk
    assert found.values["be"] == pytest.approx(be(near_nk[:, :20], batch_n, 2, drawn))  # theirs among all
    assert found.values["knn_purity"] == pytest.approx(knn_purity(near_nk[drawn], label_n, label_n[drawn]))
    assert found.notes["mi_ross"] == "400 cells: estimated on 300 of them, drawn at random"
    assert "standard error" in found.notes["asw"]
    assert "3 of 3 types" in found.notes["silhouette_batch"]
    assert found.values["asw"] == pytest.approx(exact.values["asw"], abs=0.02)
    assert found.values["bras"] == exact.values["bras"]
    assert not {"asw", "be", "mi_ross"} & exact.notes.keys()


def test_distinct_vectors_beyond_the_first_thousand_count() -> None:
    z_nd, batch_n, label_n = cells(1200)
    z_nd[:1100] = z_nd[0]
    assert scored(z_nd, batch_n, label_n)[1] == OPTIONAL


def test_single_neighbour_has_no_ratio() -> None:
    z_nd, batch_n, label_n = cells()
    values, missing = scored(z_nd, batch_n, label_n, metrics=settings(neighbours=1))
    assert values["be"] == values["be_ceiling"] == 0.0
    assert missing.keys() == {"be_ratio", *OPTIONAL}


def test_every_number_of_a_record_has_a_card() -> None:
    loss_terms = {"elbo", "reconstruction", "kl_z", "kl_library"}
    of_others = (scib.CARDS, estimation.CARDS, critic_audit.CARDS, retrieval.CARDS)
    others = {name for cards in of_others for name in cards}
    measured = {*LABELLED, *MIXING, *PROBES, *OPTIONAL, "mi_ross"}
    assert CARDS.keys() - others == measured | loss_terms
    for card in CARDS.values():
        assert card.label
        assert card.reference
        assert card.direction in {"higher", "lower", "none"}
        assert card.range[0] < card.range[1]


def test_headline_metrics_are_those_of_the_printed_tables() -> None:
    study_2019 = {"asw", "nmi", "ari", "uca", "be"}
    headline = {name for name, card in CARDS.items() if card.headline}
    of_cells = {"be_ratio", "probe_f1", "mi_ross", "critic_bound", "elbo"}
    of_some = {"mig", "dci_disentanglement", "dci_informativeness", "type_accuracy", "type_f1"}
    of_some |= {"scib_bio", "scib_batch", "scib_total"}
    assert headline - estimation.CARDS.keys() - retrieval.CARDS.keys() == study_2019 | of_cells | of_some


def test_values_lie_in_the_range_of_their_card() -> None:
    z_nd, batch_n, label_n = cells(seed=3)
    values, _ = scored(z_nd, batch_n, label_n)
    for name in values.keys() - OPTIONAL:
        low, high = CARDS[name].range
        value = values[name]
        assert value is not None
        assert low <= value <= high + 1e-12


def test_a_metric_keeps_the_name_and_text_of_its_function() -> None:
    for name, metric in METRICS.items():
        assert name == metric.__name__  # type: ignore[attr-defined]
        assert metric.__doc__ == metric.function.__doc__ is not None


def test_importing_the_metrics_loads_nothing_heavy() -> None:
    heavy = ["torch", "sklearn", "scipy", "pandas", "anndata", "pynndescent", "ot"]
    code = f"import bie.metrics.score, json, sys; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(loaded.stdout) == []
