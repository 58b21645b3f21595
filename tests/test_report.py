"""``bie report`` as users type it, on ordinary, broken and hostile studies."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from bie.analysis import load
from bie.analysis.figures.gallery import gallery
from bie.analysis.figures.material import Material, Picture
from bie.analysis.results import results_of
from bie.analysis.run_files import read_histories
from bie.analysis.study import read_study
from bie.report import main
from bie.store.paths import Tree
from tests.analysis.conftest import disk, point

__all__ = ["disk", "point"]

Make = Callable[..., Any]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{7*7}}"


class Found(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.elements}


def page(disk: Any, *options: str) -> str:
    assert main([str(disk.root), *options]) in (0, 1)
    text: str = (disk.root / "report" / "index.html").read_text()
    return text


def embedded(text: str, name: str) -> Any:
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def history(disk: Any, p: Any, seed: int, n: int = 30) -> None:
    lines = ["epoch,train_loss,test_loss", *(f"{e},{100 / e},{120 / e}" for e in range(1, n + 1))]
    (disk.folder(p, seed) / "history.csv").write_text("\n".join(lines))


@pytest.fixture
def study(disk: Any, point: Make) -> Any:
    """Two models of three seeds, one run more that failed and one that is missing."""
    mine = point("scvi_mine", mine__scale=10.0)
    disk.plan([point(), mine], range(4))
    (disk.root / "launches" / "20250101-000000-0000" / "argv").write_text(
        json.dumps(["-m", "model=scvi,scvi_mine", "mine.scale=10,20", "seed=range(4)"])
    )
    for seed in range(3):
        disk.record(point(), seed, {"ari": 0.5 + seed / 100, "be_ratio": 0.2, "elbo": 700.0 + seed})
        disk.record(mine, seed, {"ari": 0.5 + seed / 90, "be_ratio": 0.9 + seed / 100, "elbo": 720.0})
        history(disk, mine, seed)
    disk.failure(mine, 3, "nan")
    return disk


def check_asks_nobody(found: Found) -> None:
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or not value, (tag, value)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    policy = next(a["content"] for t, a in found.elements if t == "meta" and "http-equiv" in a)
    assert policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_a_study_becomes_one_page_that_asks_nobody_for_anything_and_figures_for_papers(
    study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page(study)
    assert capsys.readouterr().out.startswith(f"Written: {study.root}/report/index.html")
    found = Found(text)
    assert {"verdict", "tables", "figures", "failures", "runs", "reproduce"} <= found.ids()
    check_asks_nobody(found)
    assert text.index("Caveats first") < text.index("scvi_mine <small>against scvi")
    names = {path.name for path in (study.root / "report").iterdir()}
    assert {"differences.png", "differences.pdf", "means.png", "learning_curves.pdf"} <= names
    assert ".510±.010" in text
    assert "8 runs of 2 grid points: 6 done, 1 failed, 1 not done yet" in text


def test_figures_that_are_no_longer_made_are_removed_and_nothing_else(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [Picture("means", "of all", Figure)]
    monkeypatch.setattr("bie.analysis.figures.saving.chapters", lambda _: [lambda _: iter(drawn)])
    page(study)
    report, outside = study.root / "report", study.root / "mine.png"
    note = report / ".figures.json"
    names = json.loads(note.read_text())["figures"]
    for path in (report / "means_1.png", report / "my_own.png", outside):
        path.touch()
    note.write_text(json.dumps({"figures": [*names, "means_1", "../mine"]}))
    page(study)
    assert not (report / "means_1.png").exists()
    assert (report / "my_own.png").exists()
    assert outside.exists()
    assert json.loads(note.read_text())["figures"] == names


def test_a_sheet_of_chosen_figures(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(study.root), "--sheet", "means,diferences"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--sheet diferences: no picture in" in line
    assert "Did you mean differences? There are: differences, " in line
    assert not [*(study.root / "report").glob("[!.]*")]  # said before anything is drawn or written
    page(study, "--sheet", "mean*,differences")
    folder = study.root / "report"
    assert f"Written: {folder}/sheet.pdf" in capsys.readouterr().out
    assert {"sheet.png", "sheet.pdf"} <= {path.name for path in folder.iterdir()}
    assert main([str(study.root), "--no-figures", "--sheet", "nothing"]) == 2
    assert "There are: differences," in capsys.readouterr().err
    assert main([str(study.root), "--map", "tsne,nothing"]) == 2
    assert "--map nothing: there is none. There are: tsne, umap, pca" in capsys.readouterr().err


def test_every_run_has_its_page_with_history_failure_and_command(study: Any, point: Make) -> None:
    text = page(study, "--no-figures")
    assert 'href="#figures"' not in text  # there are none
    rows, details = embedded(text, "run-rows"), embedded(text, "run-details")
    assert len(rows["rows"]) == 8
    states = [row[rows["columns"].index("state")] for row in rows["rows"]]
    assert states == ["done"] * 3 + ["missing"] + ["done"] * 3 + ["failed (nan)"]
    first, failed = (details["pages"][rows["labels"][i]] for i in (4, 7))
    assert first["history"]["names"] == ["epoch", "train_loss", "test_loss"]
    assert first["history"]["values"][1][0] == 100.0
    assert json.loads(details["shared"][first["provenance"]])["git_commit"] == "a" * 40
    assert failed["failure"]["cause"] == "nan"
    config = rows["points"][4]
    assert details["configs"][config]["mine.scale"] == 10.0
    command = "python -m bie.run -m model=scvi_mine mine.scale=10.0 outputs=again seed="
    assert details["commands"][config] == command


def test_failures_of_one_reason_stand_together(study: Any, point: Make) -> None:
    for seed in range(20, 50):
        path = study.failure(point(), seed, "oom")
        path.write_text(json.dumps({"cause": "oom", "message": f"{seed} MiB of 17", "traceback": EVIL}))
    text = page(study, "--no-figures")
    assert "oom: 30 runs" in text
    assert text.count("bie logs") == 2 + 1  # an example of each, and the note below the table
    assert "20, 21, 22" in text


def test_hostile_texts_stay_texts(disk: Any, point: Make) -> None:
    for model, note in (("scvi", EVIL), ("scvi_mine", f"$x$ {EVIL}")):
        p = point(model, model__note=note)
        for seed in range(3):
            disk.record(p, seed, {"ari": None, "be": 0.5 + seed / 9}, missing={"ari": EVIL}, host=EVIL)
    disk.plan([point("scvi_mmd")], [0])
    disk.failure(point("scvi_mmd"), 0, EVIL).write_text(
        json.dumps({"cause": EVIL, "message": EVIL, "traceback": EVIL})
    )
    launch = disk.root / "launches" / "20250101-000000-0000"
    (launch / "argv").write_text(json.dumps(["-m", f"model.note={EVIL}"]))
    (launch / "logs").mkdir()
    place = disk.folder(point("scvi_mmd"), 0)
    (launch / "logs" / "worker-0.log").write_text(f"--- {place}\n{EVIL}\n\x1b[31m\x00")
    text = page(disk)
    found = Found(text)
    assert sum(tag == "script" for tag, _ in found.elements) == 3
    images = [attributes["src"] or "" for tag, attributes in found.elements if tag == "img"]
    assert all(source.startswith("data:image/svg+xml") for source in images)
    assert "{{7*7}}" in text
    details = embedded(text, "run-details")
    assert any(EVIL in str(page.get("log")) for page in details["pages"].values())


@pytest.mark.parametrize("n", [1, 2])
def test_one_seed_and_all_failed_are_pages_too(
    n: int, disk: Any, point: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        disk.failure(point(), seed, "nan")
    if n == 1:
        disk.record(point("scvi_mine"), 0, {"ari": 0.5})
    text = page(disk)
    assert ("no verdict, no table" in text) == (n == 2)
    assert ("figures for papers" in capsys.readouterr().out) == (n == 1)
    assert "nan: 2 runs" in text


def test_broken_files_and_other_schemas_are_named(study: Any, point: Make) -> None:
    study.record(point(), 7, {"ari": 0.5}).write_text('{"schema": 1, "run')
    newer = study.record(point(), 8, {"ari": 0.5})
    newer.write_text(newer.read_text().replace('"schema": 1', '"schema": 9'))
    (study.folder(point(), 0) / "history.csv").write_text('epoch,"tr')
    (study.folder(point(), 1) / "history.csv").write_bytes(b"\xff\x00")
    (study.folder(point(), 1) / "embedding.npz").write_bytes(b"PK half")
    text = page(study)
    assert "Records that cannot be read: 2" in text
    assert "schema 9, not 1" in text


def test_several_data_sets_are_answered_together_and_say_against_what(disk: Any, point: Make) -> None:
    split = {"split.train_fraction": 0.6}
    for dataset in ("a", "b"):
        for seed in range(4):
            disk.record(point(dataset=dataset, other=split), seed, {"ari": 0.5 + seed / 100})
            disk.record(point("scvi_mmd", dataset=dataset, other=split), seed, {"ari": 0.7 + seed / 90})
    assert main([str(disk.root), "--no-figures"]) == 0
    html = (disk.root / "report" / "index.html").read_text()
    assert html.count("In short, against scvi on the same splits<") == 2
    assert html.index("In short") < html.index("Over 2 data sets, test cells") < html.index('id="tables"')
    assert "(2:0)" in html


def test_controls_do_not_set_the_scale_of_differences(disk: Any, point: Make) -> None:
    for seed in range(3):
        disk.record(point(), seed, {"ari": 0.5 + seed / 100})
        disk.record(point("scvi_mmd"), seed, {"ari": 0.7 + seed / 90})
        disk.record(point("noise", model__method="noise"), seed, {"ari": 0.0})
    results = results_of(load(disk.root))
    tree, study = Tree(disk.root), results.study
    forest = next(gallery(Material(tree, study, results.summary, results.comparison, ("ari",)))).figure
    assert [text.get_text() for text in forest.axes[0].get_yticklabels()] == ["scvi_mmd"]


def test_500_grid_points_and_a_label_of_a_million_characters(disk: Any, point: Make) -> None:
    for i in range(500):
        disk.record(point("scvi_mine", mine__scale=float(i)), 0, {"ari": i / 500, "elbo": 1.0})
    disk.record(point("scvi", model__note="y" * 10**6), 0, {"ari": 0.5, "elbo": 1.0})
    text = page(disk)
    assert text.count('<th scope="row">scvi_mine') == 2 * 500
    assert len(text) < 5_000_000


def test_exit_codes(
    study: Any, disk: Any, point: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(study.root), "--no-figures"]) == 1
    mine = point("scvi_mine", mine__scale=10.0)
    for p in (point(), mine):
        disk.record(p, 3, {"ari": 0.5})
    assert main([str(study.root), "--no-figures"]) == 0
    assert main([str(tmp_path / "nowhere")]) == 2
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    capsys.readouterr()
    assert main([str(tmp_path / "empty")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no run was asked for yet" in line
    (study.root / "report" / "index.html").unlink()
    (study.root / "report" / "index.html").mkdir()
    assert main([str(study.root), "--no-figures"]) == 2


def test_many_runs_have_no_pages(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bie.analysis.page.build.MOST_RUNS", 5)
    text = page(study, "--no-figures")
    assert "8 runs: their pages are left out" in text
    assert '<script type="application/json" id="run-rows"></script>' in text


def settle(study: Any) -> None:
    """Let what is there be old."""
    for folder in ("runs", "launches"):
        for path in (study.root / folder).rglob("*.*"):
            os.utime(path, (1, 1))


def test_a_page_without_runs_is_recalled_while_nothing_has_changed(
    study: Any, point: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(*options: str) -> bool:
        """Whether the page is made anew; what is said of it is the same either way."""
        read.clear()
        assert main([str(study.root), "--no-runs", *options]) == 1
        assert capsys.readouterr().out.startswith(f"Written: {study.root}/report/index.html")
        return bool(read)

    def noted(*given: Any) -> Any:
        read.append(1)
        return read_study(*given)

    def chapter(material: Material) -> Iterator[Picture]:
        yield Picture("one", "of one", Figure)

    read: list[int] = []
    monkeypatch.setattr("bie.analysis.study.read_study", noted)
    monkeypatch.setattr("bie.analysis.figures.saving.chapters", lambda _: [chapter])
    settle(study)
    assert [made("--no-figures") for _ in range(2)] == [True, False]
    page(study, "--no-figures")
    assert [made("--no-figures") for _ in range(2)] == [True, False]  # the one with runs is another page
    record = study.folder(point(), 0) / "record.json"
    record.write_text(record.read_text().replace("0.5", "0.6"))
    settle(study)
    assert [made("--no-figures") for _ in range(2)] == [True, False]
    assert [made() for _ in range(2)] == [True, False]
    assert [made("--map=pca") for _ in range(2)] == [True, False]
    (study.root / "report" / "one.pdf").unlink()
    assert [made("--map=pca") for _ in range(2)] == [True, False]


def test_no_page_needs_torch(study: Any) -> None:
    code = f"import sys, bie.report as r\nr.main([{str(study.root)!r}])\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_figures_are_drawn_anew_only_where_anything_has_changed(
    study: Any, point: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def chapter(material: Material) -> Iterator[Picture]:
        drawn.append(len(material.study.runs))
        list(read_histories(material.tree, material.study.runs, material.seen))
        yield Picture("one", f"of {len(drawn)}", Figure)

    monkeypatch.setattr("bie.analysis.figures.saving.chapters", lambda _: [chapter])
    settle(study)
    report, record = study.root / "report", study.folder(point(), 0) / "record.json"
    first = page(study)
    assert page(study, "--no-runs").count("of 1") == first.count("of 1") == 2  # text and caption
    assert len(drawn) == 1
    changes: list[Callable[[], object]] = [
        (report / "one.png").unlink,
        lambda: history(study, point(), 0, n=3),
        lambda: record.write_text(record.read_text().replace("0.5", "0.6")),
        (study.folder(point(), 1) / "record.json").unlink,
    ]
    for number, change in enumerate(changes, 2):
        change()
        settle(study)
        assert f"of {number}" in page(study)
        page(study)
        assert len(drawn) == number
        assert (report / "one.png").is_file()
