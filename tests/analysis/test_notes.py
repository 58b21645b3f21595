from collections.abc import Callable
from typing import Any

from bie.analysis.notes import notes
from bie.analysis.study import read_study
from bie.store.paths import Tree

Make = Callable[..., Any]


def notes_of(disk: Any, dataset: str = "zinb", split: str = "test") -> list[str]:
    study = read_study(Tree(disk.root))
    return notes(study, study.grid_points[study.grid_points["dataset"] == dataset], split)


def test_a_complete_study_of_one_code_needs_no_notes(disk: Any, point: Make) -> None:
    disk.plan([point()], [0, 1])
    for seed in (0, 1):
        disk.record(point(), seed, {"ari": 0.5})
    assert notes_of(disk) == []


def test_failed_missing_and_unreadable_runs_are_counted_apart(disk: Any, point: Make) -> None:
    disk.plan([point()], range(8))
    disk.record(point(), 0, {"ari": 0.5})
    for seed, cause in [(1, "timeout"), (2, "nan"), (3, "nan")]:
        disk.failure(point(), seed, cause)
    disk.record(point(), 4, {"ari": 0.5}).write_text("")
    failed, unreadable, missing = notes_of(disk)
    folder = f"runs/zinb/scvi/{point().id[:12]}"
    assert failed == "3 runs failed: nan 2, timeout 1 (why: bie logs --failed)"
    assert unreadable.startswith(f"cannot be read, left out: {folder}/seed=0004/record.json")
    assert missing.startswith("3 runs missing: ")


def test_one_failure_is_one_run(disk: Any, point: Make) -> None:
    disk.failure(point(), 0, "nan")
    assert notes_of(disk)[0].startswith("1 run failed: nan 1 ")


def test_missing_numbers_are_grouped_by_reason_and_belong_to_their_split(disk: Any, point: Make) -> None:
    labels = {"test.ari": "no labels", "test.nmi": "no labels"}
    for seed in range(3):
        disk.record(point(), seed, {"ari": None, "nmi": None, "be": 0.5}, {"ari": 0.1}, missing=labels)
    disk.record(
        point(), 3, {"ari": None, "nmi": 0.2, "be": 0.5}, {"ari": 0.1}, missing={"test.ari": "one label"}
    )
    assert notes_of(disk) == [
        "NMI, ARI: no value in 3 runs (no labels)",
        "ARI: no value in 1 run (one label)",
    ]
    assert notes_of(disk, split="train") == ["NMI, BE: no value in any run (not in the record)"]


def test_of_metrics_that_other_records_alone_have_nothing_is_said(disk: Any, point: Make) -> None:
    disk.record(point(dataset="pbmc_2019"), 0, {"ari": 0.5})
    disk.record(point(), 0, {"ari": 0.5, "mi_ross": 0.1})
    study = read_study(Tree(disk.root))
    old = study.grid_points[study.grid_points["dataset"] == "pbmc_2019"]
    assert notes(study, old, "test") == []
    assert notes(study, old, "test", ["mi_ross"]) == ["MI (kNN): no value in any run (not in the record)"]


def test_reasons_alike_but_for_numbers_are_one(disk: Any, point: Make) -> None:
    for seed in range(30):
        disk.record(point(), seed, {"ari": None}, {"ari": 0.1}, missing={"test.ari": f"{seed} cells are few"})
    assert notes_of(disk) == ["ARI: no value in any run (0 cells are few; others like this)"]


def test_of_many_records_that_cannot_be_read_some_are_named_with_what_they_are(
    disk: Any, point: Make
) -> None:
    for seed in range(12):
        path = disk.record(point(), seed, {"ari": 0.5})
        path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    *named, more = notes_of(disk)
    assert len(named) == 10
    assert all("schema 2, not 1" in note for note in named)
    assert more == "cannot be read, left out: 2 more records"


def test_records_of_different_code_in_one_table_are_pointed_out(disk: Any, point: Make) -> None:
    for seed in range(3):
        disk.record(point(), seed, {"ari": 0.5}, source_sha256=("c" if seed else "d") * 64)
    disk.record(point(dataset="other"), 0, {"ari": 0.5}, source_sha256="e" * 64)
    code = f"records made by 2 versions of the code: {'c' * 12} (2 runs), {'d' * 12} (1 run)"
    assert notes_of(disk) == [code]
    assert notes_of(disk, "other") == []


def test_records_of_different_packages_in_one_table_are_pointed_out(disk: Any, point: Make) -> None:
    for seed, torch in enumerate(["2.13.0", "2.13.0", "2.12.1"]):
        disk.record(point(), seed, {"ari": 0.5}, packages={"torch": torch, "numpy": "2.4.0"})
    assert notes_of(disk) == ["records made with different torch: 2.13.0 (2 runs), 2.12.1 (1 run)"]


def test_a_density_beside_probabilities_is_pointed_out(disk: Any, point: Make) -> None:
    for likelihood in ("nb", "zinb", "gaussian"):
        disk.record(point(model__likelihood=likelihood), 0, {"elbo": 100.0})
    for likelihood in ("nb", "zinb"):
        disk.record(point(dataset="other", model__likelihood=likelihood), 0, {"elbo": 100.0})
    (note,) = notes_of(disk)
    assert note.startswith("neg. ELBO and reconstruction with likelihood gaussian: of a density")
    assert notes_of(disk, "other") == []


def test_counts_given_their_total_beside_counts_are_pointed_out(disk: Any, point: Make) -> None:
    for library in ("observed", "modelled"):
        disk.record(point(model__library=library), 0, {"elbo": 100.0})
    disk.record(point("pca"), 0, {"elbo": 100.0})
    (note,) = notes_of(disk)
    assert note.startswith("neg. ELBO with model.library=observed: of counts given their total")
    disk.record(point(dataset="other", model__library="observed"), 0, {"elbo": 100.0})
    disk.record(point("pca", dataset="other"), 0, {"elbo": 100.0})
    assert notes_of(disk, "other") == []


def test_losses_over_other_genes_are_pointed_out(disk: Any, point: Make) -> None:
    for model in ("scvi", "scvi_mine"):
        for genes in (500, None):
            disk.record(point(model, dataset__n_top_genes=genes), 0, {"elbo": 100.0})
            disk.record(point(model, dataset="other", model__n_latent=genes or 10), 0, {"elbo": 100.0})
    assert notes_of(disk) == [
        "neg. ELBO and reconstruction are sums over the genes of a run: rows with other dataset.n_top_genes "
        "are no match"
    ]
    assert notes_of(disk, "other") == []


def test_rows_scored_in_other_ways_are_pointed_out(disk: Any, point: Make) -> None:
    for model in ("scvi", "scvi_mine"):
        for k in (15, 50):
            disk.record(point(model, metrics__be={"neighbours": k}), 0, {"be": 0.5})
    (note,) = notes_of(disk)
    assert note.startswith("rows with other metrics.be.neighbours are scored in another way")


def test_seeds_that_not_all_rows_were_asked_for_are_pointed_out(disk: Any, point: Make) -> None:
    mine = [point("scvi_mine", mine__scale=scale) for scale in (10.0, 20.0)]
    for row, seeds in [(point(), (0, 1, 2, 3, 7)), (mine[0], (0, 1, 5)), (mine[1], (0, 1))]:
        for seed in seeds:
            disk.record(row, seed, {"ari": 0.5})
    disk.record(point(dataset="other"), 9, {"ari": 0.5})
    assert notes_of(disk) == [
        "scvi has seeds that other rows lack: 2-3, 7",
        "1 of 2 rows of scvi_mine have seeds that other rows lack: 5",
    ]
    assert notes_of(disk, "other") == []


def test_a_seed_that_failed_or_is_missing_elsewhere_is_not_noted_twice(disk: Any, point: Make) -> None:
    disk.plan([point(), point("scvi_mine")], [0, 1, 2])
    for seed in (0, 1, 2):
        disk.record(point(), seed, {"ari": 0.5})
    disk.record(point("scvi_mine"), 0, {"ari": 0.5})
    disk.failure(point("scvi_mine"), 1, "nan")
    assert [note.split(":")[0] for note in notes_of(disk)] == ["1 run failed", "1 run missing"]


def test_what_records_note_is_said_once_for_the_split_and_the_metrics_of_the_table(
    disk: Any, point: Make
) -> None:
    for seed in range(3):
        unjudged = f"{seed + 1} of 60 cells are not judged"
        told = {
            "cells": "types in one batch alone: mast",
            "test.probe_f1": unjudged,
            "test.probe_auc": unjudged,
            "pcr": "a sample",
        }
        disk.record(point(), seed, {"probe_f1": 0.5}, notes=told)
    cells = "cells: types in one batch alone: mast"
    assert notes_of(disk) == [cells, "probe F1: 1 of 60 cells are not judged (3 runs like this)"]
    assert notes_of(disk, split="train") == [cells]


def test_each_achieved_ratio_of_damaged_cells_is_said(disk: Any, point: Make) -> None:
    said = [f"batch_0: total counts times {ratio}, {ratio} asked for" for ratio in (0.1, 0.3)]
    for seed in range(4):
        disk.record(point(), seed, {}, notes={"perturb": said[seed % 2]})
    assert notes_of(disk) == [f"perturb: {each}" for each in said]


def test_a_metric_that_few_data_sets_can_have_is_missed_only_where_some_run_has_it(
    disk: Any, point: Make
) -> None:
    unknown = {"test.mig": "generative factors not known"}
    for seed in range(2):
        disk.record(point(), seed, {"ari": 0.5, "mig": None}, missing=unknown)
    assert notes_of(disk) == []
    disk.record(point(), 2, {"ari": 0.5, "mig": 0.3})
    assert notes_of(disk) == ["MIG: no value in 2 runs (generative factors not known)"]


def test_nothing_is_said_of_rows_that_are_not_shown(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"ari": 0.5}, notes={"perturb": "half of the genes"})
    disk.record(point("scvi_mine"), 0, {"ari": 0.5}, notes={"perturb": "half of the counts"})
    disk.failure(point("scvi_mine"), 1, "nan")
    study = read_study(Tree(disk.root))
    (said,) = notes(study, study.grid_points[study.grid_points["model"] == "scvi"], "test")
    assert said.endswith("half of the genes")
