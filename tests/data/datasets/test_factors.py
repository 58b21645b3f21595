"""The simulation from known factors: what was drawn, and that the counts follow it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from bie.data.datasets import factors
from bie.data.datasets.factors import Factors
from bie.data.prepared import read_prepared, write_prepared
from bie.errors import BadInput
from bie.schema import validated

CONF = Path(__file__).parents[3] / "conf" / "dataset" / "factors.yaml"
Settings = Callable[..., Factors]


@pytest.fixture
def settings() -> Settings:
    shipped: Any = OmegaConf.to_container(OmegaConf.load(CONF))
    return lambda **changes: validated(Factors, shipped | {"size": "smoke"} | changes)


def test_factors_types_and_batches_are_independent_and_as_asked(settings: Settings) -> None:
    cells = factors.load(settings(n_cells=2000, majority_share=0.7, n_batches=3))
    assert cells.factors is not None
    assert cells.factors.shape == (2000, 5)
    assert cells.factors.mean(axis=0) == pytest.approx([0] * 5, abs=0.1)
    assert cells.factors.std(axis=0) == pytest.approx([1] * 5, abs=0.05)
    assert {len(np.unique(values)) for values in cells.factors.T} == {8}
    assert np.bincount(cells.batch).tolist() == [1400, 300, 300]
    assert cells.label is not None
    assert np.bincount(cells.label).tolist() == [500] * 4
    drawn = np.c_[cells.factors, cells.batch == 0, cells.label == 0]
    assert np.abs(np.corrcoef(drawn.T) - np.eye(7)).max() < 0.1


def test_log_counts_follow_the_factors_in_the_order_of_their_strength(settings: Settings) -> None:
    quiet = {"counts": "poisson", "type_sd": 0.0, "batch_sd": 0.0, "factor_decay": 0.5, "factor_share": 1.0}
    cells = factors.load(settings(n_cells=1000, library_mean=9.0, **quiet))
    assert cells.factors is not None
    x_ng = cells.counts.toarray()
    y_ng = np.log1p(x_ng / x_ng.sum(axis=1, keepdims=True) * np.exp(9.0))
    effect_fg = np.linalg.lstsq(np.c_[cells.factors, np.ones(1000)], y_ng, rcond=None)[0][:5]
    sd_f = effect_fg.std(axis=1)
    assert sd_f[1:] / sd_f[:-1] == pytest.approx([0.5] * 4, abs=0.12)


def test_same_settings_same_cells_and_the_factors_are_part_of_the_content(settings: Settings) -> None:
    first, again, other = (factors.load(settings(seed=seed)) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    unknown = dataclasses.replace(first, factors=None)
    assert unknown.sha256 != first.sha256
    assert unknown.unlabelled_sha256 == first.unlabelled_sha256


def test_prepared_cells_keep_their_factors(settings: Settings, tmp_path: Path) -> None:
    cells = factors.load(settings())
    back = read_prepared(write_prepared(cells, tmp_path))
    assert cells.factors is not None
    assert back.factors is not None
    assert back.factors.tolist() == cells.factors.tolist()


def test_poisson_counts_know_no_dispersion(settings: Settings) -> None:
    poisson = settings(counts="poisson")
    assert {"theta", "zero_intercept", "zero_slope"} <= poisson.inactive().keys()
    assert factors.load(poisson).sha256 == factors.load(settings(counts="poisson", theta=9.0)).sha256
    assert factors.load(poisson).counts.nnz > factors.load(settings()).counts.nnz


def test_too_few_counts_end_with_what_to_change(settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"dataset=factors: .* Raise dataset.n_cells=400"):
        factors.load(settings(library_mean=0.5))
