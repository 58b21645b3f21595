"""Damage to one batch: what is changed has the ratio asked for, all else is the same to the last count."""

from dataclasses import replace

import numpy as np
import pytest

from bie.config import RunConfig
from bie.data.cells import Cells, canonical
from bie.data.load import load
from bie.data.perturb import check, perturbed
from bie.errors import BadInput, RunFailed
from bie.planning.compose import Configurations
from bie.planning.expand import expand

LIBRARY, GENES, PROPORTIONS = "library_size", "expressed_genes", "expression_proportion"


@pytest.fixture(scope="module")
def cells(configurations: Configurations) -> Cells:
    return load(expand(["dataset.size=smoke"], configurations).combinations[0].config.dataset)


@pytest.fixture
def config(configurations: Configurations):
    def configured(*typed: str) -> RunConfig:
        return expand(["dataset.size=smoke", *typed], configurations).combinations[0].config

    return configured


def totals(cells: Cells) -> np.ndarray:
    return np.asarray(cells.counts.sum(axis=1)).ravel()


def achieved(cells: Cells) -> float:
    return float(cells.perturbation.split("times ")[1].split(",")[0])


def test_nothing_is_the_very_same_cells(cells: Cells, config) -> None:
    assert perturbed(cells, config().perturb) is cells
    assert config().scientific().keys() == config("perturb=none").scientific().keys()
    assert "perturb" not in config().scientific()


@pytest.mark.parametrize(
    ("kind", "ratio"), [(LIBRARY, 0.3), (GENES, 0.3), (PROPORTIONS, 5), (PROPORTIONS, 0.2)]
)
@pytest.mark.parametrize("batch", [0, 1])
def test_only_the_counts_of_that_batch_change(
    cells: Cells, config, kind: str, ratio: float, batch: int
) -> None:
    settings = config(f"perturb={kind}", f"perturb.ratio={ratio}", f"perturb.batch={batch}").perturb
    broken = perturbed(cells, settings)
    other = cells.batch != batch
    assert (broken.counts[other] != cells.counts[other]).nnz == 0
    assert (broken.counts[~other] != cells.counts[~other]).nnz > 0
    for name in ("batch", "label", "cell_names", "gene_names", "batches", "labels"):
        assert getattr(broken, name) is getattr(cells, name)
    assert broken.counts.has_canonical_format
    assert (broken.counts.data > 0).all()
    assert (broken.counts.data == np.rint(broken.counts.data)).all()
    assert (totals(broken) > 0).all()
    assert broken.sha256 == perturbed(cells, settings).sha256 != cells.sha256
    if kind != LIBRARY:
        assert (totals(broken) == totals(cells)).all()


def test_each_ratio_is_met_and_the_note_says_the_one_achieved(cells: Cells, config) -> None:
    own = cells.batch == 0
    small = perturbed(cells, config(f"perturb={LIBRARY}", "perturb.ratio=0.1").perturb)
    ratio = totals(small)[own] / totals(cells)[own]
    assert np.abs(ratio - 0.1).max() < 0.002
    assert achieved(small) == pytest.approx(totals(small)[own].sum() / totals(cells)[own].sum(), rel=1e-3)
    few = perturbed(cells, config(f"perturb={GENES}", "perturb.ratio=0.3").perturb)
    assert ((few.counts[own] > 0) > (cells.counts[own] > 0)).nnz == 0  # a gene without counts stays without
    assert few.counts[own].nnz / cells.counts[own].nnz == pytest.approx(0.3, abs=0.02)
    assert achieved(few) == pytest.approx(few.counts[own].nnz / cells.counts[own].nnz, rel=1e-3)


def test_a_cell_drawn_anew_keeps_its_proportions(cells: Cells, config) -> None:
    """10,000 times the counts: shares within the noise of a multinomial, 5 sd."""
    many = perturbed(cells, config(f"perturb={LIBRARY}", "perturb.ratio=10000").perturb)
    row = np.flatnonzero(cells.batch == 0)[0]
    before, after = (c.counts[row].toarray().ravel().astype(float) for c in (cells, many))
    share = before / before.sum()
    assert np.abs(after / after.sum() - share).max() < 5 * np.sqrt(0.25 / after.sum())
    assert (after[share == 0] == 0).all()


def test_proportions_change_as_by_hand_in_one_cell(config) -> None:
    """Genes of median 8, 4, 2, 1: ranks 3 and 4 are changed, those of 1 and 2 make room, in proportion."""
    x_ng = np.tile([1.0, 8, 2, 4, 0, 5], (40, 1))
    x_ng[20:, 5] = 0  # too often without a count
    cells = Cells(
        counts=canonical(x_ng * 1e4),
        batch=np.repeat([0, 1], 20),
        batches=("a", "b"),
        label=None,
        labels=(),
        cell_names=np.arange(40).astype(str),
        gene_names=np.arange(6).astype(str),
    )
    broken = perturbed(cells, config(f"perturb={PROPORTIONS}", "perturb.ratio=2").perturb)
    share_g = np.asarray(broken.counts[:20].sum(axis=0)).ravel() / 20 / 2e5
    scale = (12 - 3) / 12
    assert share_g == pytest.approx(np.array([2, 8 * scale, 4, 4 * scale, 0, 5]) / 20, abs=2e-3)
    assert achieved(broken) == pytest.approx(2, abs=0.01)


def test_room_that_is_not_there_is_not_made_negative(config, cells: Cells) -> None:
    settings = config(f"perturb={PROPORTIONS}", "perturb.ratio=1000").perturb
    broken = perturbed(cells, settings)
    assert (broken.counts.data > 0).all()
    assert 1 < achieved(broken) < 100  # far from 1,000, and it is said
    with pytest.raises(RunFailed, match="negative"):
        perturbed(cells, settings.model_copy(update={"as_2020": True}))


def test_in_2020_the_other_batch_changed_too(cells: Cells, config) -> None:
    for batch, other in ((0, 3 - 2 * 0.3), (1, (3 - 0.3) / 2)):
        typed = f"perturb={LIBRARY}", "perturb.ratio=0.3", f"perturb.batch={batch}", "perturb.as_2020=true"
        broken = perturbed(cells, config(*typed).perturb)
        mean_b = [
            totals(broken)[cells.batch == b].sum() / totals(cells)[cells.batch == b].sum() for b in (0, 1)
        ]
        assert mean_b[batch] == pytest.approx(0.3, abs=0.01)
        assert mean_b[1 - batch] == pytest.approx(other, abs=0.01)


def test_in_2020_a_ratio_was_not_met_where_genes_made_room_that_were_changed(cells: Cells, config) -> None:
    typed = f"perturb={PROPORTIONS}", "perturb.ratio=5"
    assert achieved(perturbed(cells, config(*typed).perturb)) == pytest.approx(5, rel=0.02)
    assert achieved(perturbed(cells, config(*typed, "perturb.as_2020=true").perturb)) < 4
    lower = perturbed(cells, config(*typed[:1], "perturb.ratio=0.2", "perturb.as_2020=true").perturb)
    assert lower.perturbation.startswith("batch_1: ")
    assert (lower.counts[cells.batch == 0] != cells.counts[cells.batch == 0]).nnz == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("perturb=library_size", "perturb.batch=2"), "perturb.batch=2: the data set has 2 batches, 0 to 1"),
        (("perturb=expression_proportion", "perturb.zero_share=1e-9"), "genes are so well expressed"),
    ],
)
def test_what_these_cells_cannot_have_is_bad_input(cells: Cells, config, typed, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check(cells, config(*typed).perturb)
    three = replace(cells, batches=("a", "b", "c"))
    with pytest.raises(BadInput, match="of 2 batches, not of 3"):
        check(three, config("perturb=library_size", "perturb.as_2020=true").perturb)
