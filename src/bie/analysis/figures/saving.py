"""Put figures into their files, several at a time: this is most of what a report takes."""

import multiprocessing
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bie import devices
from bie.analysis.figures.kept import Shown
from bie.analysis.figures.material import Picture
from bie.analysis.figures.style import as_svg, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8  # processes; of more, figures are through before the next is drawn


def saved(pictures: Iterable[Picture], folder: Path | None, n_processes: int | None = None) -> list[Shown]:
    """Put each picture as PNG and PDF into a folder, if there is one; what the page shows of them.

    Parameters
    ----------
    n_processes
        As many as there are cores by default. With 1, and where forks are not safe, which is everywhere but
        on Linux, there are none besides this one; the files are the same.
    """
    most = min(devices.cores(), MOST) if n_processes is None else n_processes
    if most == 1 or sys.platform != "linux":
        return [(each.name, each.caption, _forms(each.figure, folder, each.name)) for each in pictures]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(most, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        waiting = [(each, pool.submit(_forms, each.figure, folder, each.name)) for each in pictures]
        return [(each.name, each.caption, svg.result()) for each, svg in waiting]


def _forms(figure: "Figure", folder: Path | None, name: str) -> bytes:
    svg = as_svg(figure)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        save(figure, folder, name)
    return svg
