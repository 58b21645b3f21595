"""Tables on terminals: in words where the encoding lacks their symbols, nothing that steers a terminal."""

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
    r"""Text as it is where the encoding has its symbols, else in words; control characters by their names.

    >>> print(fitting("donor \x1b[31m", "utf-8"))
    donor \x1b[31m
    """
    if not text.replace("\n", "").isprintable():
        text = "".join(sign if sign == "\n" or sign.isprintable() else repr(sign)[1:-1] for sign in text)
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return in_words(text)
    return text
