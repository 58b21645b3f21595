import math
from collections.abc import Callable
from typing import Any

import pytest

from bie.analysis import load
from bie.analysis.answer import MOST_ROWS
from bie.analysis.numbers import mean_sd
from bie.analysis.results import results_of
from bie.analysis.table import Table
from bie.analysis.view import View, read_view
from bie.analysis.wide import wide_tables

Make = Callable[..., Any]


def tables_of(disk: Any, split: str = "test") -> list[Table]:
    return list(wide_tables(results_of(load(disk.root)), View(splits=(split,))))


def shown(disk: Any, *options: Any, **further: Any) -> list[Table]:
    typed: list[Any] = [*options, None, None, None, None]
    view = read_view(typed[0], typed[1] or [], typed[2], typed[3], **further)
    return list(wide_tables(results_of(load(disk.root)), view))


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.7421, 0.0512, ".742±.051"),
        (0.7421, 0.0996, ".74±.10"),  # rounds up to two digits, not to three
        (-0.0312, 0.0051, "-.0312±.0051"),
        (1.0212, 0.104, "1.02±.10"),
        (1234.56, 12.34, "1235±12"),
        (1234.56, 1.234, "1234.6±1.2"),
        (1234.56, 123.4, "1235±123"),
        (-0.001, 0.5, ".00±.50"),  # no minus before a zero
        (0.5, math.nan, ".500"),
        (0.75, math.nan, ".750"),
        (12.345, math.nan, "12.3"),
        (12345.6, math.nan, "12346"),
        (0.5, 0.0, ".500±0"),
        (1.9585, 4e-8, "1.96±0"),  # nothing that six decimals show
        (math.nan, math.nan, "–"),
    ],
)
def test_mean_and_sd_share_their_last_decimal(mean: float, sd: float, text: str) -> None:
    assert mean_sd(mean, sd) == text


def test_a_row_per_grid_point_with_settings_as_typed(disk: Any, point: Make) -> None:
    points = [point(), *(point("scvi_mine", mine__scale=s) for s in (1000.0, 0.5))]
    for p in points:
        for seed, ari in enumerate([0.4, 0.6]):
            disk.record(p, seed, {"ari": ari, "elbo": 1000.0 + seed, "kl_z": 3.0})
    (table,) = tables_of(disk)
    assert table.title == "zinb, test cells"
    assert table.header == ("model", "mine.scale", "n", "ARI ↑", "neg. ELBO ↓")
    assert table.rows == (
        ("scvi", "–", "2/2", ".50±.14", "1000.50±.71"),
        ("scvi_mine", "0.5", "2/2", ".50±.14 ·", "1000.50±.71 ·"),
        ("scvi_mine", "1000", "2/2", ".50±.14 ·", "1000.50±.71 ·"),
    )


def test_cells_with_fewer_numbers_than_expected_runs_are_marked(disk: Any, point: Make) -> None:
    complete, partial, waiting = point(), point("scvi_mine"), point("scvi_mmd")
    disk.plan([complete, partial, waiting], [0, 1])
    disk.record(complete, 0, {"ari": 0.4, "nmi": 0.5})
    disk.record(complete, 1, {"ari": 0.6, "nmi": None})
    disk.record(partial, 0, {"ari": 0.4, "nmi": 0.5})
    (table,) = tables_of(disk)
    assert table.header == ("model", "n", "NMI ↑", "ARI ↑")
    assert table.rows == (
        ("scvi", "2/2", ".500†", ".50±.14"),
        ("scvi_mine", "1/2", ".500† ·", ".400† ·"),
        ("scvi_mmd", "0/2", "–†", "–†"),
    )


def test_a_number_that_a_model_does_not_have_is_not_missing(disk: Any, point: Make) -> None:
    with_critic, without = point("scvi_mine"), point()
    disk.record(with_critic, 0, {"ari": 0.4, "critic_bound": 0.1})
    disk.record(without, 0, {"ari": 0.4, "critic_bound": None}, missing={"critic_bound": "no critic"})
    (table,) = tables_of(disk)
    assert not any("no value" in note for note in table.notes)
    assert [row[0] for row in table.rows] == ["scvi", "scvi_mine"]
    assert table.rows[0][-1] == "–"
    assert "fewer" not in "".join(table.legend)


def test_batch_entropy_comes_with_its_share_of_the_ceiling(disk: Any, point: Make) -> None:
    disk.record(point(), 0, {"be": 0.5, "be_ratio": 0.75})
    disk.record(point(), 1, {"be": 0.52, "be_ratio": 0.77})
    (table,) = tables_of(disk)
    assert table.header[-1] == "BE ↑ (of ceiling)"
    assert table.rows[0][-1] == ".510±.014 (.76)"
    assert table.notes == ("BE in nats",)


def test_a_table_per_dataset_with_its_own_metrics_and_settings(disk: Any, point: Make) -> None:
    disk.record(point(dataset="a"), 0, {"ari": None, "be": 0.5}, missing={"test.ari": "no labels"})
    for scale in (1.0, 2.0):
        disk.record(point("scvi_mine", dataset="b", mine__scale=scale), 0, {"ari": 0.4, "be": 0.5})
    a, b = tables_of(disk)
    assert a.header == ("model", "n", "BE ↑")
    assert b.header == ("model", "mine.scale", "n", "ARI ↑", "BE ↑")
    assert "ARI: no value in any run (no labels)" in a.notes
    assert not any("no value" in note for note in b.notes)


def test_train_and_test_are_not_mixed_up(disk: Any, point: Make) -> None:
    disk.record(point(), 0, test={"ari": 0.25}, train={"ari": 0.75})
    assert tables_of(disk)[0].rows[0][-1] == ".250"
    assert tables_of(disk, "train")[0].rows[0][-1] == ".750"


@pytest.fixture
def arms(disk: Any, point: Make) -> Any:
    """Two data sets; MINE mixes and costs ARI, more so at the larger scale; two controls; one run missing."""
    split = {"split.train_fraction": 0.9}
    for dataset in ("a", "b"):
        points: dict[tuple[str, float], Any] = {}
        points["scvi", 0] = point(dataset=dataset, other=split)
        for scale in (10.0, 20.0):
            points["scvi_mine", scale] = point("scvi_mine", dataset=dataset, other=split, mine__scale=scale)
        for control in ("noise", "labels_only"):
            points[control, 0] = point(control, dataset=dataset, other=split, model__method=control)
        disk.plan(list(points.values()), range(6), launch=f"20250101-000000-000{dataset}")
        for (model, scale), p in points.items():
            for seed in range(6):
                if (dataset, scale, seed) == ("b", 20.0, 5):
                    continue
                wave = math.sin(seed) / 100
                ari = {"scvi": 0.7, "scvi_mine": 0.7 - scale / 100, "noise": 0.0}.get(model, 0.9)
                be = {"scvi": 0.2, "scvi_mine": 0.2 + scale / 100, "noise": 0.6}.get(model, 0.6)
                noise = wave * (scale or 1)
                disk.record(p, seed, {"ari": ari + noise / 5, "be": be + noise / 9})
    return disk


def test_settings_of_one_name_that_never_act_together_share_a_column(disk: Any, point: Make) -> None:
    mine = [point("scvi_mine", mine__scale=scale) for scale in (5.0, 6.0)]
    mmd = [point("scvi_mmd", mmd__scale=scale) for scale in (5.0, 7.0)]
    for p in (point(), *mine, *mmd):
        disk.record(p, 0, {"ari": 0.5})
    (table,) = tables_of(disk)
    assert table.header[:3] == ("model", "scale", "n")
    assert [row[1] for row in table.rows] == ["–", "5", "6", "5", "7"]
    (asked,) = shown(disk, "model,mine.scale")
    assert asked.header[:3] == ("model", "mine.scale", "mmd.scale")
    disk.record(point("scvi_mine", mine__scale=5.0, mmd__scale=9.0), 0, {"ari": 0.5})
    (both,) = tables_of(disk)
    assert both.header[:3] == ("model", "mine.scale", "mmd.scale")


def test_of_a_sweep_that_has_hardly_begun_bounds_are_told_too(disk: Any, point: Make) -> None:
    rivals = [point("scvi_mine", mine__scale=float(scale)) for scale in range(MOST_ROWS + 2)]
    disk.plan([point(), *rivals], range(9))
    for seed in range(3):
        disk.record(point(), seed, {"ari": 0.5})
        for rival in rivals:
            disk.record(rival, seed, {"ari": 0.6 + seed / 900})
    (table,) = tables_of(disk)
    told = [note for note in table.notes if "6 pairs missing; were they the worst or the best seen" in note]
    assert len(told) == MOST_ROWS
    assert told[0].startswith("scvi_mine mine.scale=0: ")
    assert told[0].endswith("every verdict stays")
    assert "2 more rows lack pairs: ask for them by --where" in table.notes


def test_a_table_without_verdicts_says_why(disk: Any, point: Make) -> None:
    cells = {"model.likelihood": "zinb"}
    for dataset, baseline in (("a", point(dataset="a", other=cells)), ("b", None)):
        for seed, row in enumerate([point("m", dataset=dataset, other=cells, m__scale=s) for s in (1, 2)]):
            disk.record(row, seed, {"ari": 0.5})
        if baseline:
            disk.record(baseline, 5, {"ari": 0.5})
    first, second = (table.notes[0] for table in tables_of(disk))
    assert first == "nothing is compared: no row has a split in common with its baseline"
    assert second.startswith("nothing is compared: no row here is the baseline")


def test_marks_are_the_verdicts_never_the_larger_mean(arms: Any) -> None:
    a, b = shown(arms)
    marks = {(row[0], row[1]): [cell.split(" ")[-1] for cell in row[4:6]] for row in a.rows}
    assert marks["scvi_mine", "10"] == ["▼▼", "▲▲"]
    assert a.legend[1].startswith("against scvi on the same splits: ▲ better")
    assert "▲" not in "".join(a.rows[0])
    assert [row[0] for row in a.rows] == [
        *("scvi", "scvi_mine", "scvi_mine", "labels_only", "noise", "floor", "ceiling")
    ]
    assert b.rows[2][3] == "5/6"


def test_the_question_is_answered_below(arms: Any) -> None:
    _, b = shown(arms)
    mine = [note for note in b.notes if note.startswith("scvi_mine mine.scale=20")]
    assert mine[0].startswith("scvi_mine mine.scale=20: 1 pair missing; were they the worst or the best seen")
    assert "mixing (BE) gains .2" in mine[1]
    assert "on these cells" in mine[1]
    assert "; conservation (ARI) loses .19" in mine[1]
    assert not any(note.startswith("noise") for note in b.notes)


def test_of_a_single_pair_nothing_is_said_of_the_missing_ones(disk: Any, point: Make) -> None:
    arms = [point(), point("scvi_mine")]
    disk.plan(arms, range(4))
    for p in arms:
        disk.record(p, 0, {"ari": 0.5, "be": 0.4})
    (table,) = shown(disk)
    assert any("in 1 pair" in note for note in table.notes)
    assert not any("were they the worst" in note for note in table.notes)


def test_floor_and_ceiling_are_the_controls(arms: Any) -> None:
    a, _ = shown(arms)
    floor, ceiling = a.rows[-2:]
    assert floor[:4] == ("floor", "–", "–", "–")
    assert floor[4].endswith("(noise)")
    assert ceiling[4].endswith("(labels_only)")
    assert floor[5] == ceiling[5] == "–"  # both mix: neither is a floor
    assert any(note.startswith("BE: the controls are alike") for note in a.notes)


def test_of_one_seed_what_is_chance_is_no_floor(disk: Any, point: Make) -> None:
    for name, ari in {"noise": 0.001, "shuffled": 0.002}.items():
        disk.record(point(name, model__method=name), 0, {"ari": ari})
    disk.record(point(), 0, {"ari": 0.5})
    for rescale in (False, True):
        (table,) = shown(disk, rescale=rescale)
        assert [row[0] for row in table.rows] == ["scvi", "noise", "shuffled"]
        assert any(note.startswith("ARI: the worst or the best control has one run") for note in table.notes)
    assert {row[-1] for row in table.rows} == {"–"}  # .5 was 499 times the way from floor to ceiling


def test_controls_without_a_number_are_no_floor(disk: Any, point: Make) -> None:
    arms = [point(), *(point(name, model__method=name) for name in ("noise", "labels_only"))]
    disk.plan(arms, [0])
    disk.record(arms[0], 0, {"ari": 0.5})
    (table,) = shown(disk)
    assert [row[0] for row in table.rows] == ["scvi", "labels_only", "noise"]


def test_rescaled_to_the_controls(arms: Any) -> None:
    a, _ = shown(arms, None, None, "ari", rescale=True)
    assert a.rows[0][-1].startswith(".77")  # .7 of 0 to .9, and what the seeds add
    assert a.rows[0][-1].endswith("]")
    assert "rescaled" in a.legend[0]
    alone, _ = shown(arms, None, ["model=scvi,scvi_mine"], "ari", rescale=True)
    assert [row[-1] for row in alone.rows] == [row[-1] for row in a.rows[:3]]
    b, *_ = shown(arms, None, None, "be", rescale=True)
    assert {row[-1] for row in b.rows} == {"–"}  # no number, and so no mark of a verdict on it
    assert {row[0]: row[-1].split(" ")[0] for row in a.rows[3:]} == {"labels_only": "1.00", "noise": ".000"}


def test_rows_without_spread_are_told_together(disk: Any, point: Make) -> None:
    for seed in range(3):
        disk.record(point(), seed, {"ari": 1.0, "nmi": 0.5 + seed})
        for scale in range(5):
            numbers = {"ari": 1.0, "nmi": 0.5 if scale else 0.6 + seed}
            disk.record(point("scvi_mine", mine__scale=float(scale)), seed, numbers)
    (table,) = tables_of(disk)
    told = [note.partition(" are the same")[0] for note in table.notes if "no spread" in note]
    assert told == [
        "scvi_mine mine.scale=0: all differences in NMI, ARI",
        "each of 4 rows: all differences in ARI",
    ]


def test_settings_as_columns_and_facets(arms: Any) -> None:
    (table,) = shown(arms, "model/mine.scale", ["dataset=a", "model=scvi,scvi_mine"], "ari")
    assert table.header == (
        "model",
        *("mine.scale=– n", "mine.scale=– ARI ↑"),
        *("mine.scale=10 n", "mine.scale=10 ARI ↑", "mine.scale=20 n", "mine.scale=20 ARI ↑"),
    )
    assert table.rows[0][3:] == ("–",) * 4
    assert table.rows[1][:3] == ("scvi_mine", "–", "–")
    scvi, mine = shown(arms, "dataset//model", ["model=scvi,scvi_mine"], "ari")
    assert (scvi.title, mine.title) == ("model=scvi, test cells", "model=scvi_mine, test cells")
    assert mine.header == ("dataset", "mine.scale", "n", "ARI ↑")
    assert [row[:2] for row in mine.rows] == [("a", "10"), ("a", "20"), ("b", "10"), ("b", "20")]


def test_any_setting_can_be_a_column_of_rows(arms: Any) -> None:
    a, *_ = shown(arms, "model.n_latent", None, "be", "test,train")
    assert a.header[0] == "model.n_latent"
    assert {row[0] for row in a.rows[:5]} == {"10"}
    assert len(shown(arms, None, None, None, "test,train")) == 4


def test_grid_points_of_which_only_failures_are_known_have_a_row_each(disk: Any, point: Make) -> None:
    for scale in (1, 2):
        disk.failure(point("scvi_mine", mine__scale=scale), 0, "nan")
    disk.record(point(), 0, {"ari": 0.5})
    (table,) = tables_of(disk)
    assert [row[0] for row in table.rows] == ["scvi", "scvi_mine", "scvi_mine"]


def test_grid_points_by_their_ids(arms: Any) -> None:
    a, *_ = shown(arms, "config_id", None, "ari")
    assert len(a.rows) == len({row[0] for row in a.rows})
    (one,) = shown(arms, "config_id", [f"config_id={a.rows[1][0]}"], "ari")
    assert (one.rows[0][0], one.rows[0][-1]) == (a.rows[1][0], a.rows[1][-1])


def test_what_a_row_is_compared_with_does_not_depend_on_what_is_shown(arms: Any) -> None:
    (whole, _), (part,) = shown(arms), shown(arms, None, ["mine.scale=20", "dataset=a"], "ari,be")
    assert part.rows[0][-2:] == whole.rows[2][-2:]


def test_data_sets_as_columns_are_one_table(arms: Any) -> None:
    (table,) = shown(arms, "model/dataset", ["model=scvi,scvi_mine"], "ari")
    assert table.title == "test cells"
    assert table.header[-4:] == ("dataset=a n", "dataset=a ARI ↑", "dataset=b n", "dataset=b ARI ↑")
    assert [row[:2] for row in table.rows] == [("scvi", "–"), ("scvi_mine", "10"), ("scvi_mine", "20")]
    assert [note.split(":")[0] for note in table.notes if "conservation" in note] == [
        f"{dataset} scvi_mine mine.scale={scale}" for dataset in ("a", "b") for scale in (10, 20)
    ]


def test_notes_speak_of_the_metrics_that_were_asked_for(disk: Any, point: Make) -> None:
    for seed in range(2):
        disk.record(
            point(), seed, {"ari": 0.5, "nmi": None}, missing={"nmi": "one label"}, notes={"test.ari": "few"}
        )
    (ari,), (nmi,) = (shown(disk, None, None, name) for name in ("ari,be", "nmi,ari"))
    assert [note for note in ari.notes if "NMI" in note or "ARI" in note] == ["ARI: few"]
    assert "NMI: no value in any run (one label)" in nmi.notes


def test_baselines_of_many_kinds_of_cells_are_named_together(disk: Any, point: Make) -> None:
    for n in range(4):
        for seed in range(2):
            disk.record(point(perturb__ratio=n), seed, {"ari": 0.5 + seed})
            disk.record(point("adversarial", perturb__ratio=n), seed, {"ari": 0.7 - seed})
    (table,) = wide_tables(results_of(load(disk.root)), View())
    assert table.legend[1].startswith("against scvi on the same data and splits (4 rows): ▲ better")


def test_a_row_names_its_model_once(disk: Any, point: Make) -> None:
    for seed in range(2):
        disk.record(point(), seed, {"ari": 0.5 + seed})
        for scale in (1.0, 2.0):
            disk.record(point("adversarial", adversarial__scale=scale), seed, {"ari": 0.7 - seed})
    study = load(disk.root)
    (table,) = wide_tables(results_of(study, "adversarial scale=2"), View())
    assert "against adversarial scale=2 on the same splits" in table.legend[1]
    assert results_of(study, "adversarial adversarial.scale=2").pairs.equals(
        results_of(study, "adversarial scale=2").pairs
    )


def test_values_that_metrics_scib_adds_are_a_group_and_their_means_headline(disk: Any, point: Make) -> None:
    of_scib = {"asw_label": 0.6, "scib_bio": 0.5, "scib_batch": 0.7, "scib_total": 0.58}
    for seed in range(2):
        disk.record(point(), seed, {"ari": 0.5, **of_scib})
    (default,), (group,) = shown(disk), shown(disk, None, None, "scib")
    means = ("bio conservation ↑", "batch correction ↑", "scIB total ↑")
    assert default.header == ("model", "n", "ARI ↑", *means)
    assert group.header == ("model", "n", "ASW label ↑", *means)
