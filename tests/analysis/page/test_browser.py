"""The page in a headless Chromium: by mouse and keyboard, on a laptop and a phone, light and dark."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bie.report import main
from tests.analysis.conftest import Disk, Point
from tests.browser import Browser, browser, chromium

pytestmark = pytest.mark.skipif(
    chromium() is None and "BIE_REQUIRE_CHROMIUM" not in os.environ, reason="no Chromium"
)

CONTRAST = """
(() => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => c.slice(0, 3).map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return rgb("255 255 255"); };
  return [...document.body.querySelectorAll("*")].filter((e) => e.checkVisibility()
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.tagName, e.textContent.slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the page of a small study."""
    disk = Disk(tmp_path_factory.mktemp("page") / "outputs" / "v1" / "adhoc")
    split = ("split.train_fraction", 0.6)
    base = Point(grid=(split,))
    mine = [Point("zinb", "scvi_mine", (split, ("mine.scale", scale))) for scale in (10, 7000)]
    for seed in range(6):
        disk.record(base, seed, {"ari": 0.5 + seed / 1000, "be_ratio": 0.2, "kl_z": 3.0})
        for i, point in enumerate(mine):
            numbers = {"ari": 0.5 - i / 10 + seed / 999, "be_ratio": 0.9 + seed / 500, "kl_z": 3.0}
            disk.record(point, seed, dict(numbers))
            history(disk, point, seed, 9)
    failed = {"cause": "nan", "message": "</pre><b>", "traceback": "T"}
    disk.failure(mine[0], 6, "nan").write_text(json.dumps(failed))
    main([str(disk.root)])
    return f"file://{disk.root}/report/index.html"


def history(disk: Disk, point: Point, seed: int, n: int, terms: str = "a") -> None:
    names = [f"{split}_{term}" for split in ("train", "test") for term in terms]
    rows = [",".join([str(e), *[f"{100 / e:.12f}"] * len(names)]) for e in range(1, n + 1)]
    (disk.folder(point, seed) / "history.csv").write_text("\n".join([",".join(["epoch", *names]), *rows]))


def first_column(tab: Browser, table: str, column: int) -> list[str]:
    """Texts of a column, of the rows that are shown."""
    rows = f"[...document.querySelectorAll('#{table} tbody tr')].filter(r => !r.hidden)"
    return list(tab.run(f"{rows}.map(r => r.cells[{column}].textContent)"))


def test_tables_sort_and_filter_by_mouse_and_by_keyboard(tab: Browser, page: str) -> None:
    tab.open(page)
    assert first_column(tab, "t1", 0) == ["scvi", "scvi_mine", "scvi_mine"]
    heads = tab.run("[...document.querySelectorAll('#t1 th button')].map(b => b.textContent)")
    ari = heads.index("ARI ↑")
    tab.click(f"#t1 th:nth-child({ari + 1}) button")
    up = first_column(tab, "t1", ari)
    tab.run(f"document.querySelectorAll('#t1 th button')[{ari}].focus()")
    tab.press("Enter", 13, "\r")
    assert first_column(tab, "t1", ari) == up[::-1]
    assert tab.run(f"document.querySelector('#t1 th:nth-child({ari + 1})').ariaSort") == "descending"
    tab.run("document.querySelector('[data-filter=t1]').focus()")
    for letter in "mine 7000":
        tab.press(letter, ord(letter.upper()), letter)
    assert first_column(tab, "t1", 0) == ["scvi_mine"]
    assert tab.run("document.querySelector('[data-count=t1]').textContent") == "1 of 3 rows"
    hidden = "getComputedStyle(document.querySelector('#t1 td.more')).display"
    assert tab.run(hidden) == "none"
    tab.click("[data-all=t1]")
    assert tab.run(hidden) == "table-cell"
    assert tab.problems == []


def test_a_page_that_is_loaded_again_is_as_it_was_left(tab: Browser, page: str) -> None:
    tab.open(page)
    tab.run("document.querySelector('[data-filter=t1]').value = ''")
    tab.run("document.querySelector('[data-filter=t1]').dispatchEvent(new Event('input'))")
    for _ in range(2):
        tab.click("#t1 th:nth-child(4) button")
    tab.click("#run-table th:nth-child(4) button")
    tab.click("#tables details:nth-of-type(2) summary")
    sorts = "[...document.querySelectorAll('th[aria-sort]')].map(e => [e.cellIndex, e.ariaSort])"
    folds = "[...document.querySelectorAll('details')].map(e => e.open)"
    state = f"[document.activeElement.textContent, {sorts}, {folds}, scrollY]"
    left = tab.run(state)
    assert left[:2] == ["zinb, train cells", [[3, "descending"], [3, "ascending"]]]
    rows = first_column(tab, "t1", 3)
    tab.reload()
    tab.wait(f"scrollY === {left[-1]}")  # where the browser puts it back
    assert tab.run(state) == left
    assert first_column(tab, "t1", 3) == rows
    assert tab.problems == []


def test_the_way_back_closes_a_run(tab: Browser, page: str) -> None:
    tab.open(page)
    tab.click("#run-table tbody a")
    tab.wait("document.querySelector('#box').open")
    tab.run("history.back()")
    tab.wait("!document.querySelector('#box').open")


def test_a_run_opens_as_a_page_and_closes_by_escape(tab: Browser, page: str) -> None:
    tab.open(page)
    tab.click("#run-table tbody tr:nth-child(8) a")
    tab.wait("document.querySelector('#box').open")
    text = tab.run("document.querySelector('#box').textContent")
    for part in ("History", "Settings", "mine.scale", "Provenance", "git_commit", "Time and memory"):
        assert part in text
    assert tab.run("document.querySelectorAll('#box polyline').length") == 2
    tab.press("Escape", 27)
    tab.wait("location.hash === '#runs'")  # the event of its closing comes after it is closed
    assert not tab.run("document.querySelector('#box').open")
    tab.run("document.querySelector('#run-filter').value = 'nan'")
    tab.run("document.querySelector('#run-filter').dispatchEvent(new Event('input'))")
    assert tab.run("document.querySelectorAll('#run-table tbody tr').length") == 1
    tab.click("#run-table tbody a")
    tab.wait("document.querySelector('#box').open")
    assert "</pre><b>" in tab.run("document.querySelector('#box').textContent")
    assert tab.problems == []


def test_a_figure_is_enlarged(tab: Browser, page: str) -> None:
    tab.open(page)
    tab.run("document.querySelector('.zoom').focus()")
    tab.press("Enter", 13, "\r")
    tab.wait("document.querySelector('#box img')?.complete")
    assert tab.run("document.querySelector('#box img').naturalWidth") > 300
    assert tab.problems == []


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(tab: Browser, page: str, width: int, height: int, dark: bool) -> None:
    tab.requests.clear()
    tab.open(page, width, height, dark)
    assert tab.run("document.documentElement.scrollWidth") <= width
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.run(CONTRAST) == []
    assert [address for address in tab.requests if address not in (page, "about:blank")] == []
    shown = "[...document.querySelectorAll('#t1 tbody th')].find(e => e.checkVisibility())"
    long = f"const e = {shown}; e.textContent = 'long_'.repeat(12)"
    first = tab.run(f"(() => {{ {long}; return e.getBoundingClientRect().width; }})()")
    assert 60 < first < width / 2  # a name of any length leaves room for numbers, and can be read
    assert tab.problems == []


def test_500_runs_are_one_page_below_a_quarter_of_30_mb(tab: Browser, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "outputs" / "v1" / "adhoc")
    for scale in range(20):
        point = Point("zinb", "scvi_mine", (("mine.scale", scale),))
        for seed in range(25):
            disk.record(point, seed, {"ari": seed / 25, "be_ratio": 0.5})
            history(disk, point, seed, 60, "abcdefgh")
    main([str(disk.root), "--no-figures"])
    path = disk.root / "report" / "index.html"
    assert path.stat().st_size < 30e6 / 4  # it grows with the runs: 2000 are below 30 MB
    tab.open(f"file://{path}")
    tab.wait("document.querySelector('#run-count').textContent === '500 of 500 runs'")
    tab.run("location.hash = '#run=499'")
    tab.wait("document.querySelectorAll('#box polyline').length == 16")
    loaded = tab.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
    print(f"{path.stat().st_size / 1e6:.1f} MB, loaded after {loaded:.0f} ms")
