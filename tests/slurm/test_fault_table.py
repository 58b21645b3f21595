import pytest

from .fault_table import BEGIN, END, Fault, write


def test_the_table_replaces_the_one_in_the_guide(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for name in ("flood", "fire"):
        write(guide, [Fault(name, "1 s", "nothing", "itself")])
    lines = guide.read_text().splitlines()
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("before", BEGIN, END, "after")
    assert lines[4].split(" | ") == ["| fire ", "1 s        ", "nothing", "itself       |"]
    assert len(lines) == 7


def test_a_guide_without_a_place_for_it_is_refused(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("nothing")
    with pytest.raises(ValueError, match="no place"):
        write(guide, [])
