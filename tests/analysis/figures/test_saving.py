from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bie.analysis.figures import saving
from bie.analysis.figures.material import Chapter, Material, Picture
from bie.analysis.figures.saving import saved
from bie.store.paths import Tree


@pytest.fixture
def material(tmp_path: Path) -> Material:
    study: Any = None  # nothing here looks at it
    return Material(Tree(tmp_path), study, pd.DataFrame(), pd.DataFrame(), ())


def line(n: int) -> Figure:
    figure = Figure(figsize=(1, 1), layout="constrained")
    figure.subplots().plot(range(n))
    return figure


def chapter(i: int, material: Material) -> Iterator[Picture]:
    """A figure of as many points, and one more."""
    material.seen.append(Path(f"history_{i}"))
    for name in (f"figure_{i}", f"figure_{i}_more"):
        yield Picture(name, f"Caption of {name}.", partial(line, i + 2))


def chapters(n: int = 3) -> list[Chapter]:
    return [partial(chapter, i) for i in range(n)]


def test_several_at_a_time_write_the_files_that_one_process_writes(
    tmp_path: Path, material: Material
) -> None:
    one, several = (list(saved(material, chapters(), tmp_path / str(n), n)) for n in (1, 2))
    assert one == several
    names = [f"figure_{i}{more}" for i in range(3) for more in ("", "_more")]
    assert [(name, caption) for name, caption, _ in one] == [(name, f"Caption of {name}.") for name in names]
    assert len({svg for _, _, svg in one}) == 3
    found = [{path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in "12"]
    assert found[0] == found[1]
    assert sorted(found[0]) == sorted(f"{name}.{form}" for name in names for form in ("pdf", "png"))
    assert material.seen == [Path(f"history_{i}") for i in range(3)] * 2


def test_without_a_folder_nothing_is_written(in_tmp: Path, material: Material) -> None:
    assert next(saved(material, chapters(1), None, 1))[2].startswith(b"<?xml")
    assert not list(in_tmp.iterdir())


def test_an_error_in_another_process_is_raised_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, material: Material
) -> None:
    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save", save)
    with pytest.raises(OSError, match="No space left"):
        list(saved(material, chapters(2), tmp_path, 2))
