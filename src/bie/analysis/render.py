"""Tables as text for a terminal, as Markdown and as LaTeX."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from bie.analysis.table import Table

MOST_LINES, AROUND = 40, 3  # of a table on one page of LaTeX, and what its heading and rules take of that
WIDEST, GAP = 120, 2
"""Characters of a line of such a table, which LaTeX's own article shows at 6.5 points, and of what is between
two columns."""
_CELL, _ROW = "\x1f", "\x1e"
"""End of a cell and of a row until the whole table is escaped in one go; no text may hold them in LaTeX."""


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
    text = " | ".join(cells)
    if text.count("|") >= len(cells):
        text = " | ".join(cell.replace("|", r"\|") for cell in cells)
    return f"| {text} |"


_PREAMBLE = r"""% \usepackage{booktabs}, then \input; with graphicx too, wide tables shrink to the text
\providecommand{\resizebox}[3]{#3}"""


def as_latex(tables: Iterable[Table]) -> str:
    r"""Floats with booktabs rules, for ``\input`` in a document.

    A wide table is several, one below the other, each with the names of the rows; a long one has a float on
    each of several pages.
    """
    return "\n\n".join([_PREAMBLE, *(text for table in tables for text in _floats(table))]) + "\n"


def _floats(table: Table) -> Iterator[str]:
    parts, share = _parts(table), _share(len(table.rows))
    together = max(MOST_LINES // (min(share, len(table.rows)) + AROUND), 1)  # on a page
    for start in range(0, max(len(table.rows), 1), share):
        for first in range(0, len(parts), together):
            is_first = start == first == 0
            yield _latex_float(table, parts[first : first + together], slice(start, start + share), is_first)


def _share(n: int) -> int:
    """Lines on each page of a table: no page is left with one line.

    >>> _share(40), _share(81)
    (40, 27)
    """
    return -(-n // max(-(-n // MOST_LINES), 1)) or 1


def _parts(table: Table) -> list[list[int]]:
    """Columns that fit beside each other on paper, the names of the rows before each."""
    names = list(range(table.names))
    if not names:
        return [list(range(len(table.header)))]
    cells = zip(map(_lines, table.header), *table.rows, strict=True)
    wide = [max(map(len, [*head, *column])) + GAP for head, *column in cells]
    room = max(WIDEST - sum(wide[: table.names]), WIDEST // 2)
    parts: list[list[int]] = []
    left = 0
    for place in range(table.names, len(table.header)):
        left -= wide[place]
        if left < 0:
            parts.append([*names])
            left = room - wide[place]
        parts[-1].append(place)
    return parts or [names]


def _lines(text: str) -> list[str]:
    """Lines of a heading: a setting before it and brackets behind it have lines of their own."""
    first, *words = text.split(" ")
    lines = [first]
    for word in words:
        if word.startswith("(") or "=" in lines[-1]:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def _head(text: str) -> str:
    """Heading of a column.

    >>> _head("ARI"), _head("scale=10 ARI")
    ('ARI', '\\\\shortstack[r]{scale=10\\\\\\\\ARI}')
    """
    lines = _lines(text)
    stacked = r"\\".join(map(latex, lines))
    return latex(text) if len(lines) < 2 else rf"\shortstack[r]{{{stacked}}}"


def _latex_float(table: Table, parts: Sequence[Sequence[int]], rows: slice, is_first: bool) -> str:
    again = f"{table.title} (continued)."
    caption = f"{table.title}: {'; '.join(table.legend)}." if is_first else again
    return "\n".join(
        [
            *([] if is_first else [r"\clearpage"]),  # LaTeX holds back 18 floats at most
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{latex(caption)}}}\medskip",
            "\n\\par\\medskip\n".join(_tabular(table, part, rows) for part in parts),
            r"\end{table*}",
        ]
    )


def _tabular(table: Table, columns: Sequence[int], rows: slice) -> str:
    """Some columns of some rows, made smaller where they are wider than the text."""
    header = " & ".join(_head(table.header[place]) for place in columns)
    chosen = [[row[place] for place in columns] for row in table.rows[rows]]
    body = latex(_ROW.join(map(_CELL.join, chosen)) + _ROW) if chosen else ""
    return "\n".join(
        [
            rf"\sbox0{{\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            r"\toprule",
            rf"{header} \\",
            r"\midrule",
            f"{body}\\bottomrule",
            r"\end{tabular}}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        ]
    )


_LATEX = str.maketrans(
    {
        _CELL: " & ",
        _ROW: " \\\\\n",
        **{char: f"\\{char}" for char in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        **{char: f"${char}$" for char in "<>|"},  # other signs in the default font
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$^\dagger$",
        "–": "--",
        "▲": r"$\bigtriangleup$",
        "▼": r"$\bigtriangledown$",
        "·": r"$\cdot$",
        "−": "$-$",
        "…": r"\dots{}",
    }
)


_FOREIGN = re.compile(f"[^\\x00-\\x7f{''.join(chr(code) for code in _LATEX if code > 127)}]")
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi "
    "chi psi omega"
)
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030c\u030a\u0327", "`'^~\"vrc", strict=True))
_LETTERS = {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L"}


def latex(text: str) -> str:
    r"""Text as LaTeX, whichever engine and fonts: what these may not have is named by its code point.

    >>> latex("scvi_mine ±.05")
    'scvi\\_mine $\\pm$.05'
    >>> latex("β, ü, 细")
    '$\\beta$, \\"{u}, [U+7EC6]'
    """
    plain = _FOREIGN.sub("\0\\g<0>", text)
    # what is looked for first, then what may not stand before it: the other way round takes ten times as long
    escaped = re.sub(r"\$\$(?<!\\\$\$)", "", plain.translate(_LATEX))  # two symbols in a row
    escaped = re.sub(r"-(?<![\w-]-)(?=[\d.])", "$-$", escaped)
    escaped = re.sub("\0(.)", lambda found: _beyond_ascii(found[1]), escaped, flags=re.DOTALL)
    return re.sub(r"(?m)^(?=[\[*])", "{}", escaped)  # after the end of a row these are an argument


def _beyond_ascii(char: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", char))
    if base.isascii() and len(marks) == 1 and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{base}}}"
    if char in _LETTERS:
        return rf"\{_LETTERS[char]}{{}}"
    greek = re.fullmatch(r"(?:GREEK SMALL LETTER|MICRO) (\w+)", unicodedata.name(char, ""))
    name = {"SIGN": "mu", "LAMDA": "lambda"}.get(greek[1], greek[1].lower()) if greek else ""
    return rf"$\{name}$" if name in _GREEK.split() else f"[U+{ord(char):04X}]"
