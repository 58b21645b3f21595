"""Times in Slurm's words."""

import pytest

from bie.config.slurm_words import duration_s, in_minutes, in_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("9:57", 597),
        ("24:00:00", 86_400),
        ("1-00", 86_400),
        ("1-02:03", 93_780),
        ("1-02:03:04", 93_784),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("1:2:3:4", None),
        ("-5", None),
    ],
)
def test_the_forms_that_sbatch_knows(text: str, seconds: float | None):
    assert duration_s(text) == seconds


def test_a_time_fills_whole_units():
    assert in_minutes("0:30") == 1
    assert in_minutes("1-00:00:00") == 1440
    assert in_seconds("2:00") == 120
    assert in_minutes(90) == 90


def test_what_is_no_time_is_said():
    with pytest.raises(ValueError, match="as Slurm has it: minutes:seconds"):
        in_minutes("tomorrow-ish")
