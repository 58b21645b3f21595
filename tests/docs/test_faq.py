"""Every message that docs/faq.md quotes is still one that the code can say."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADINGS = re.findall(r"^### (.*)$", (ROOT / "docs/faq.md").read_text(), re.M)
QUOTED = [quoted for heading in HEADINGS for quoted in re.findall(r"`([^`]+)`", heading)]
GAP = "\0"
"""Stands for what is filled in."""


@cache
def said() -> list[str]:
    """Every text of the code, with gaps where something is filled in."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "src/bie").rglob("*.py"))
    return [text for tree in trees for node in ast.walk(tree) if (text := text_of(node))]


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def can_be_said(quoted: str) -> bool:
    """Whether a text of the code has all that is quoted, in this order, with gaps where there is an ellipsis.

    A single word is a cause, and a text of its own.
    """
    if quoted.isalpha():
        return quoted in said()
    parts = [re.escape(part) for part in quoted.split("…")]
    pattern = (
        re.compile(f"(?:{GAP}.*|.*{GAP}.*)".join(parts), re.S) if len(parts) > 1 else re.compile(parts[0])
    )
    return any(pattern.search(text) for text in said())


def test_messages_are_quoted():
    assert len(QUOTED) > 20


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_code(quoted):
    assert can_be_said(quoted)


def test_a_message_that_nobody_says_is_noticed():
    assert not can_be_said("… is not a setting of the moon")
    assert not can_be_said("sbatch is not on this planet")
