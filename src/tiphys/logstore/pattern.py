"""What is looked for in lines: a text, or a regular expression.

Before a regular expression is tried, memmem looks for the longest text that each match must hold.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_parser: Final[Any] = importlib.import_module("re._parser")


@dataclass(frozen=True, slots=True)
class Pattern:
    """literal: bytes that every line sought has; empty for none known."""

    literal: bytes
    matches: Callable[[bytes], bool]


def text_pattern(text: str) -> Pattern:
    literal = text.encode()
    return Pattern(literal, lambda line: literal in line)


def regex_pattern(text: str, *, ignore_case: bool = False) -> Pattern:
    """Python's syntax, in UTF-8; `^` and `$` are the line's ends. Raises re.error."""
    flags = re.IGNORECASE if ignore_case else 0
    compiled = re.compile(text, flags)
    literal = "" if compiled.flags & (re.IGNORECASE | re.VERBOSE) else _required(text)

    def matches(line: bytes) -> bool:
        return compiled.search(line.decode("utf-8", "replace").rstrip("\n")) is not None

    return Pattern(literal.encode(), matches)


def _required(text: str) -> str:
    """The longest run of plain characters beside each other at the top of the expression."""
    runs = [""]
    for kind, value in _parser.parse(text):
        if kind is _parser.LITERAL:
            runs[-1] += chr(value)
        else:
            runs.append("")
    return max(runs, key=len)
