from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bie.analysis.figures import saving
from bie.analysis.figures.material import Picture
from bie.analysis.figures.saving import saved


def pictures(n: int = 3) -> list[Picture]:
    """Figures of as many points."""
    made = []
    for i in range(n):
        figure = Figure(figsize=(1, 1), layout="constrained")
        figure.subplots().plot(range(i + 2))
        made.append(Picture(f"figure_{i}", f"Caption {i}.", figure))
    return made


def test_several_at_a_time_write_the_files_that_one_process_writes(tmp_path: Path) -> None:
    one, several = (list(saved(pictures(), tmp_path / str(n), n)) for n in (1, 2))
    assert one == several
    assert [(name, caption) for name, caption, _ in one] == [
        (f"figure_{i}", f"Caption {i}.") for i in range(3)
    ]
    assert len({svg for _, _, svg in one}) == 3
    found = [{path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in "12"]
    assert found[0] == found[1]
    assert sorted(found[0]) == [f"figure_{i}.{form}" for i in range(3) for form in ("pdf", "png")]


def test_without_a_folder_nothing_is_written(in_tmp: Path) -> None:
    assert next(saved(pictures(1), None, 1))[2].startswith(b"<?xml")
    assert not list(in_tmp.iterdir())


def test_an_error_in_another_process_is_raised_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save", save)
    with pytest.raises(OSError, match="No space left"):
        list(saved(pictures(1), tmp_path, 2))
