"""Lines over logarithmic axes as an SVG file: a figure of the documentation without a plotting library."""

from collections.abc import Mapping
from math import ceil, floor, log10
from pathlib import Path

Lines = Mapping[str, Mapping[float, float]]
"""By name of a line: y by x, all above 0."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 190, 160, 60, 30, 70
_COLOURS = ("#1b6ca8", "#c8553d", "#5b8c5a")


def draw(path: Path, panels: Mapping[str, Lines], y_label: str) -> None:
    """Write panels side by side; their titles are what x is, and they share the y axis."""
    every = [y for lines in panels.values() for line in lines.values() for y in line.values()]
    low, high = floor(log10(min(every))), ceil(log10(max(every)))
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    width = _LEFT + len(panels) * (_WIDTH + _GAP)
    parts = [f'<text x="4" y="{_TOP - 12}">{y_label}</text>']
    for i, (title, lines) in enumerate(panels.items()):
        parts += _panel(_LEFT + i * (_WIDTH + _GAP), title, lines, names, low, high)
    for i, name in enumerate(names):
        at = _LEFT + 140 + 110 * i
        parts.append(f'<text x="{at}" y="{_TOP - 12}" fill="{_COLOURS[i]}">{name}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT + _TOP + 50}" '
    style = 'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    path.write_text("\n".join([head + style, *parts, "</svg>\n"]))


def _panel(left: int, title: str, lines: Lines, names: list[str], low: int, high: int) -> list[str]:
    xs = sorted({x for line in lines.values() for x in line})
    first, last = log10(xs[0]), log10(xs[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - first) / ((last - first) or 1)
        return left + _WIDTH * across, _TOP + _HEIGHT * (high - log10(y)) / (high - low)

    bottom = _TOP + _HEIGHT
    parts = [f'<rect x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#999"/>']
    parts += [f'<text x="{left + _WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">{title}</text>']
    for x in xs:
        parts.append(f'<text x="{at(x, 1)[0]:.0f}" y="{bottom + 16}" text-anchor="middle">{x:,g}</text>')
    for power in range(low, high + 1):
        y = at(xs[0], 10.0**power)[1]
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>')
    for name, line in lines.items():
        points = [at(x, line[x]) for x in sorted(line)]
        colour = _COLOURS[names.index(name)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts
