import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bie.analysis.render import MOST_LINES, as_latex, as_markdown, as_text, latex
from bie.analysis.table import Table

TABLE = Table(
    title="zinb_1, test cells",
    header=("model", "mine.scale", "n", "ARI ↑", "neg. ELBO ↓"),
    rows=(
        ("scvi", "–", "100/100", ".742±.051", "1235±12"),
        ("scvi_mine", "1000", "99/100", "-.75±.12† ▲", "1234.8±8.0† ▼▼"),
        ("scvi_mine", "5000", "0/100", "–†", "–†"),
    ),
    notes=("1 run failed: nan 1", "ARI: no value in 1 run (größer | kleiner)"),
    legend=("mean±sd over seeds; † fewer", "▲ better"),
)


def test_text_is_aligned_by_the_plus_minus() -> None:
    title, legend, marks, header, *rows, first, second = as_text(TABLE).splitlines()
    assert (title, legend, marks) == ("zinb_1, test cells", *TABLE.legend)
    assert [line.split()[0] for line in rows] == ["scvi", "scvi_mine", "scvi_mine"]
    assert {tuple(m.start() for m in re.finditer("±", row)) for row in rows[:2]} == {(36, 51)}
    assert header.index("ARI") < 36 < header.index("neg.") < 51
    assert [row.index("/") + len("/100") for row in rows] == [header.index(" n ") + 2] * 3
    assert (first, second) == TABLE.notes
    assert not any(line != line.rstrip() for line in [header, *rows])


def test_markdown_rows_have_as_many_cells_as_the_header() -> None:
    text = as_markdown("my study", [TABLE, TABLE])
    assert text.startswith("# my study\n\n## zinb_1, test cells\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * (2 + len(TABLE.rows))
    assert {row.count("|") for row in rows} == {len(TABLE.header) + 1}
    assert "- 1 run failed: nan 1" in text
    assert text.endswith("\n")


def test_markdown_escapes_what_would_end_a_cell() -> None:
    piped = Table("t", ("a|b",), (("c|d",),), ())
    assert r"| a\|b |" in as_markdown("s", [piped])


def test_latex_rows_have_as_many_cells_as_the_tabular_has_columns() -> None:
    text = as_latex([TABLE])
    spec = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert spec
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 1 + len(TABLE.rows)
    assert {row.count("&") + 1 for row in rows} == {len(spec.group(1))} == {len(TABLE.header)}
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert text.isascii()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("scvi_mine", r"scvi\_mine"),
        ("50% & #1 ${x}", r"50\% \& \#1 \$\{x\}"),
        (r"a\b~c^d", r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d"),
        ("-.05±.01", r"$-$.05$\pm$.01"),
        ("2025-01", "2025-01"),
        (".5 ▲▲ ·", r".5 $\bigtriangleup\bigtriangleup$ $\cdot$"),
        ("<.001 a|b", "$<$.001 a$|$b"),
        ("5$±", r"5\$$\pm$"),
        ("Müller ı ą", r"M\"{u}ller [U+0131] [U+0105]"),
        ("λ=0.1 µ Ω", r"$\lambda$=0.1 $\mu$ [U+03A9]"),
        ("[0.1, 1]", "{}[0.1, 1]"),
        ("[a]\n[b]", "{}[a]\n{}[b]"),
    ],
)
def test_latex_escapes(text: str, escaped: str) -> None:
    assert latex(text) == escaped


ODD = replace(TABLE, title="<b> ß ø β 细胞 😀", rows=tuple((f"[{row[0]}]", *row[1:]) for row in TABLE.rows))
LONG = replace(TABLE, header=("a", "b" * 120), rows=tuple((f"row_{i}", "c") for i in range(1000)))


def test_a_long_table_is_several_of_a_page_each() -> None:
    text = as_latex([LONG])
    floats = text.split(r"\begin{table*}")[1:]
    assert len(floats) == 1000 / MOST_LINES
    assert [text.count(f"row\\_{i} &") for i in range(1000)] == [1] * 1000
    assert ["(continued)" in part for part in floats] == [False] + [True] * (len(floats) - 1)


def test_a_wide_table_is_several_with_the_names_of_the_rows() -> None:
    names, numbers = ("model", "mine.scale"), tuple(f"metric{i}" for i in range(30))
    rows = tuple((model, "10", *(f"{i}.{'1' * 9}" for i in range(30))) for model in ("scvi", "scvi_mine"))
    wide = Table("t", names + numbers, rows, names=2)
    floats = as_latex([wide]).split(r"\begin{table*}")[1:]
    assert ["(continued)" in text for text in floats] == [False]
    bodies = re.findall(r"midrule\n(.*?)\\bottomrule", floats[0], flags=re.DOTALL)
    assert 3 < len(bodies) < 8
    assert all(
        row.startswith(("scvi & 10 & ", "scvi\\_mine & 10 & ")) for b in bodies for row in b.splitlines()
    )
    assert max(len(row) for body in bodies for row in body.splitlines()) < 140
    assert [sum(f" & {i}.1" in body for body in bodies) for i in range(30)] == [1] * 30
    many = as_latex([replace(wide, rows=wide.rows * 15)])  # a page for each part
    assert many.count("(continued)") == len(bodies) - 1


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
@pytest.mark.parametrize("packages", ["booktabs", "booktabs,graphicx"])
def test_latex_compiles(packages: str, tmp_path: Path) -> None:
    (tmp_path / "summary.tex").write_text(as_latex([TABLE, LONG, ODD]), encoding="utf-8")
    head = rf"\documentclass{{article}}\usepackage{{{packages}}}"
    frame = head + r"\begin{document}\input{summary}\end{document}"
    (tmp_path / "main.tex").write_text(frame)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    assert ("Overfull" in done.stdout) == (packages == "booktabs")
    assert "too large" not in done.stdout
