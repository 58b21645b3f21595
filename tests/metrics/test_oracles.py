"""Metrics beside scib-metrics 0.6.1, POT and scvi 0.3.0's formula: see tests/oracles/make_scib_metrics.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bie.config import Metrics
from bie.metrics import transport
from bie.metrics.cards import METRICS
from bie.metrics.metric import call_by_name
from bie.metrics.neighbourhoods import acceptance
from bie.metrics.part import Part
from bie.metrics.regression import pcr
from bie.seeds import Streams

FILE = Path(__file__).parents[1] / "oracles" / "scib_metrics.npz"
CASES = ("mixed", "shifted", "apart")
SETTINGS = {
    "names": "bie",
    "kmeans": {"n_init": 1, "clusters": "present"},
    "be": {"neighbours": 50, "pools": None},
}


class Case:
    """An embedding, and what others say about it."""

    def __init__(self, name: str) -> None:
        with np.load(FILE) as stored:
            self.of = {
                key.partition("/")[2]: stored[key] for key in stored.files if key.startswith(f"{name}/")
            }
        z_nd, self.batch_n, self.label_n = self.of["z"].astype(np.float64), self.of["batch"], self.of["label"]
        settings = Metrics.model_validate(SETTINGS)
        self.part = Part(z_nd, self.batch_n, 3, self.label_n, 4, settings, Streams(0))

    def ours(self, metric: Any) -> float:
        found: float = call_by_name(metric, self.part)
        return found


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@pytest.mark.parametrize("name", ["ilisi", "clisi", "graph_connectivity"])
def test_neighbourhoods_as_in_scib_metrics(case: Case, name: str) -> None:
    assert case.ours(METRICS[name]) == pytest.approx(float(case.of[name]), abs=2e-4)


@pytest.mark.parametrize("name", ["silhouette_batch", "bras", "isolated_labels"])
def test_silhouettes_as_in_scib_metrics(case: Case, name: str) -> None:
    assert case.ours(METRICS[name]) == pytest.approx(float(case.of[name]), abs=1e-5)


def test_label_silhouette_as_in_scib_metrics(case: Case) -> None:
    assert (case.ours(METRICS["asw"]) + 1) / 2 == pytest.approx(float(case.of["silhouette_label"]), abs=1e-5)


def test_principal_component_regression_as_in_scib_metrics(case: Case) -> None:
    before = case.of["before"].astype(np.float64), case.batch_n
    assert pcr(case.part.z_nd, case.batch_n, before) == pytest.approx(float(case.of["pcr"]), abs=1e-4)


def test_kbet_of_a_type_as_in_scib_metrics(case: Case) -> None:
    """The fourth type is in one batch alone: it is left out."""
    types = [case.label_n == label for label in range(3)]
    found = [acceptance(case.part.z_nd[own], case.batch_n[own]) for own in types]
    assert found == pytest.approx(case.of["kbet_of_types"].tolist(), abs=1e-6)
    assert case.ours(METRICS["kbet"]) == pytest.approx(np.mean(found))


def test_purity_as_in_scvi_030(case: Case) -> None:
    large: NDArray[np.bool_] = np.isin(case.label_n, np.flatnonzero(np.bincount(case.label_n) > 30))
    z_nd, label_n = case.part.z_nd[large], case.label_n[large]
    part = Part(z_nd, case.batch_n[large], 3, label_n, 4, case.part.settings, Streams(0))
    assert call_by_name(METRICS["knn_purity"], part) == pytest.approx(float(case.of["knn_purity"]), abs=1e-9)


def test_transport_as_in_pot(case: Case) -> None:
    z_nd = case.part.z_nd
    a, b = (z_nd[(case.label_n == 0) & (case.batch_n == batch)] for batch in (0, 1))
    assert transport.distance(a[:30], b[:20]) == pytest.approx(float(case.of["transport"]), abs=1e-9)
