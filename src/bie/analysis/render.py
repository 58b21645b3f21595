"""Tables as text for a terminal, as Markdown and as LaTeX."""

import re
from collections.abc import Iterable, Sequence

from bie.analysis.wide import Table

MOST_LINES = 40  # of a table on one page of LaTeX


def as_text(table: Table) -> str:
    """Title, legend, aligned columns with `±` below `±`, then the notes."""
    columns = list(zip(table.header, *table.rows, strict=True))
    padded = [_padded(column, left=place == 0) for place, column in enumerate(columns)]
    lines = ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
    return "\n".join([table.title, *table.legend, *lines, *table.notes])


def _padded(column: Sequence[str], left: bool) -> list[str]:
    header, *cells = column
    if any("±" in cell for cell in cells):
        before = max(len(cell.partition("±")[0]) for cell in cells)
        cells = [cell.rjust(len(cell) + before - len(cell.partition("±")[0])) for cell in cells]
        left = True
    width = max(len(text) for text in [header, *cells])
    return [text.ljust(width) if left else text.rjust(width) for text in [header, *cells]]


def as_markdown(study: str, tables: Iterable[Table]) -> str:
    """A document with a section per table, its notes as a list below."""
    return "\n".join([f"# {study}", *map(_markdown_section, tables)]) + "\n"


def _markdown_section(table: Table) -> str:
    rule = ["---", *["---:"] * (len(table.header) - 1)]
    body = [_markdown_row(row) for row in (table.header, rule, *table.rows)]
    below = [f"- {note}" for note in table.notes]
    legend = "; ".join(table.legend)
    return "\n".join(["", f"## {table.title}", "", legend, "", *body, *([""] if below else []), *below])


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


_PREAMBLE = r"""% \usepackage{booktabs}, then \input; with graphicx too, wide tables shrink to the text
\providecommand{\resizebox}[3]{#3}"""


def as_latex(tables: Iterable[Table]) -> str:
    r"""Floats with booktabs rules, for ``\input`` in a document; a long table is several, a page each."""
    floats = [
        _latex_float(table, slice(start, start + MOST_LINES))
        for table in tables
        for start in range(0, max(len(table.rows), 1), MOST_LINES)
    ]
    return "\n\n".join([_PREAMBLE, *floats]) + "\n"


def _latex_float(table: Table, part: slice) -> str:
    body = [" & ".join(map(latex, row)) + r" \\" for row in table.rows[part]]
    again = f"{table.title} (continued)."
    caption = again if part.start else f"{table.title}: {'; '.join(table.legend)}."
    return "\n".join(
        [
            *([r"\clearpage"] if part.start else []),  # LaTeX holds back 18 floats at most
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{latex(caption)}}}\medskip",
            rf"\sbox0{{\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
            r"\toprule",
            " & ".join(map(latex, table.header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
            r"\end{table*}",
        ]
    )


_LATEX = str.maketrans(
    {
        **{char: f"\\{char}" for char in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$^\dagger$",
        "–": "--",
        "▲": r"$\bigtriangleup$",
        "▼": r"$\bigtriangledown$",
        "·": r"$\cdot$",
    }
)


def latex(text: str) -> str:
    r"""Text with LaTeX's special characters escaped.

    >>> latex("scvi_mine ±.05")
    'scvi\\_mine $\\pm$.05'
    """
    escaped = text.translate(_LATEX).replace("$$", "")  # two symbols in a row
    return re.sub(r"(?<![\w-])-(?=[\d.])", "$-$", escaped)
