"""Tables on terminals whose encoding lacks their symbols."""

from collections.abc import Mapping
from typing import Any

_WORDS: Mapping[str, str] = {
    "▲▲ ▼▼ shown": "*: shown",
    "▲ better  ▼ worse  = equal within the margin  · open": "better, worse, equal within the margin, or open",
    "▲▲": "better*",
    "▼▼": "worse*",
    "▲": "better",
    "▼": "worse",
    " =": " equal",
    " ·": " open",
    "±": "+-",
    " ↑": " (high)",
    " ↓": " (low)",
    "–": "-",
    "†": "!",
}


def in_words(text: str) -> str:
    """Text for a terminal without these symbols.

    >>> in_words(".751±.047 ▲▲ (.92)   .80±.02 ·"), in_words("ARI ↑")
    ('.751+-.047 better* (.92)   .80+-.02 open', 'ARI (high)')
    """
    for symbol, word in _WORDS.items():
        text = text.replace(symbol, word)
    return text.encode("ascii", "replace").decode()


def fitting(text: str, encoding: Any) -> str:
    """Text as it is where the encoding has its symbols, else in words."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return in_words(text)
    return text
