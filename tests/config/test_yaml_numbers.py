"""What people write, and what YAML makes of it."""

from pathlib import Path

import pytest

from bie.config.yaml_numbers import check_numbers
from bie.errors import BadInput


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "timeout_min: 2:00:00",
            'timeout_min: 2:00:00 is 7200 to YAML. Put it in quotes: timeout_min: "2',
        ),
        ("account: 00123", "account: 00123 is 83 to YAML"),
        ("account: 2024_117", "account: 2024_117 is 2024117 to YAML"),
        ("account: 12e3", "account: 12e3 is 12000.0 to YAML"),
        ("additional_parameters: {begin: 16:30}", "additional_parameters.begin: 16:30 is 990 to YAML"),
    ],
)
def test_a_number_that_is_not_what_was_written_is_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        check_numbers(path)
    assert str(refused.value).startswith(f"{path}: {said}")


def test_others_are_not(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text('a: "2:00:00"\nb: 90\nc: 0.5\nd: [Python/3.11.3]\ne: 1-12:00:00\nf: 0\ng: 1.0e-3x\n')
    check_numbers(path)
