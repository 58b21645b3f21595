"""Columns as the tools of the field call them: which are the batches, which the cell types, which next."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from bie.data import guess

N = 600


def obs(**sizes: Any) -> pd.DataFrame:
    """Columns of so many groups, in this order; "yes" a truth value, "whole" and "share" numbers."""
    made: dict[str, Any] = {}
    for seed, (name, kind) in enumerate(sizes.items()):
        random = np.random.default_rng(seed)
        if kind == "yes":
            made[name] = random.random(N) < 0.3
        elif kind in ("whole", "share"):
            made[name] = random.integers(0, 50, N) if kind == "whole" else random.random(N)
        else:
            made[name] = random.integers(0, int(kind), N).astype(str)
    return pd.DataFrame(made)


CELLXGENE = obs(
    assay_ontology_term_id=2,
    cell_type_ontology_term_id=3,
    development_stage_ontology_term_id=2,
    is_primary_data="yes",
    predicted_doublet="yes",
    n_genes="whole",
    leiden=6,
    cell_type=3,
    tissue=2,
    donor_id=4,
    assay=2,
)
SEURAT = obs(
    **{"orig.ident": 2, "nCount_RNA": "whole", "nFeature_RNA": "whole", "percent.mt": "share", "Phase": 3},
    **{"RNA_snn_res.0.5": 7, "seurat_clusters": 8, "celltype": 5},
)
AZIMUTH = obs(
    **{"predicted.celltype.l1.score": "share", "predicted.celltype.l1": 8, "lane": 3, "nCount_RNA": "whole"}
)
HLCA = obs(study=4, subject_ID=12, sample=20, ann_level_1=4, ann_finest_level=30, leiden_3=12, dataset=5)
PANCREAS = obs(tech=6, celltype=13, size_factors="share")
TABULA_SAPIENS = obs(
    organ_tissue=3, method=2, donor=4, n_counts_UMIs="whole", cell_ontology_class=9, free_annotation=12
)
PARSE = obs(sample=4, species=2, gene_count="whole", tscp_count="whole", bc1_well=48)
KANG = obs(nCount_RNA="whole", stim=2, seurat_annotations=13, replicate=8)
SCANPY = obs(n_genes="whole", percent_mito="share", n_counts="whole", louvain=8)
CELLTYPIST = obs(**{"hash.ID": 3, "doublet_labels": 2, "over_clustering": 9, "majority_voting": 5})
SIMPLE = obs(day=3, batch=2, batch_label=4, cell_type_color=3, CellType=3)


@pytest.mark.parametrize(
    ("columns", "batches", "labels"),
    [
        (CELLXGENE, ("donor_id", "assay"), ("cell_type", "cell_type_ontology_term_id")),
        (SEURAT, ("orig.ident", None), ("celltype", "RNA_snn_res.0.5")),
        (AZIMUTH, ("lane", None), ("predicted.celltype.l1", None)),
        (HLCA, ("subject_ID", "sample"), ("ann_level_1", "ann_finest_level")),
        (PANCREAS, ("tech", None), ("celltype", None)),
        (TABULA_SAPIENS, ("donor", "method"), ("cell_ontology_class", "free_annotation")),
        (PARSE, ("sample", "bc1_well"), (None, None)),
        (KANG, ("replicate", "stim"), ("seurat_annotations", None)),
        (SCANPY, (None, None), ("louvain", None)),
        (SIMPLE, ("batch", "batch_label"), ("CellType", "cell_type_color")),
        (CELLTYPIST, ("hash.ID", None), ("majority_voting", "over_clustering")),
        (obs(doublet_class=2, scType=5, run=2), ("run", None), ("scType", None)),
        (
            obs(broad_type=5, library_type=2, major_class=9),
            ("library_type", None),
            ("broad_type", "major_class"),
        ),
        (obs(score="share"), (None, None), (None, None)),
    ],
)
def test_the_likeliest_and_the_next(
    columns: pd.DataFrame, batches: tuple[str | None, str | None], labels: tuple[str | None, str | None]
) -> None:
    found = guess.labels(columns)
    assert found == labels
    assert guess.batches(columns, found.best) == batches


def test_a_column_that_says_the_same_is_no_second_best() -> None:
    columns = obs(cell_type=3, leiden=5, batch=2)
    columns["cell_type_ontology_term_id"] = "CL:" + columns["cell_type"]
    columns["sample"] = "s" + columns["batch"]
    assert guess.labels(columns) == ("cell_type", "leiden")
    assert guess.batches(columns, "cell_type") == ("batch", None)


def test_whole_columns_come_first() -> None:
    columns = obs(donor=4, sample=4)
    columns.loc[:5, "donor"] = None
    assert guess.batches(columns, None) == ("sample", "donor")


def test_three_hundred_donors() -> None:
    columns = obs(assay=2, donor=300)
    assert guess.batches(columns, None) == ("donor", "assay")
