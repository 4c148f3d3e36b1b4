"""Whether a command's output is the one of the page, but for what differs from run to run.

Names that the cluster makes up, ages, addresses and node ports are like any other; a line `...`
stands for any lines, and `...` within a line for any text.
"""

import re
from typing import Final

ANYTHING: Final = "..."
_REPLACED: Final = (
    (re.compile(r"[-=]{3,}"), "---"),
    (re.compile(r"\b([a-z][a-z0-9-]*?)-[a-f0-9]{6,10}-[a-z0-9]{5}\b"), r"\1-<hash>-<id>"),
    (re.compile(r"\b([a-z][a-z0-9-]*?)-(?=[a-f0-9]*[0-9])[a-f0-9]{8,10}\b"), r"\1-<hash>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b"), "<ip>"),
    (re.compile(r"\b(\d+[dhms])+\b"), "<age>"),
    (re.compile(r"(?<=:)3[0-2]\d{3}\b"), "<port>"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "<port>"),
    (re.compile(r"\s+"), " "),
)


def is_like(output: str, shown: str) -> bool:
    """An empty `shown` is like any output: the page does not say what comes."""
    if not shown.strip():
        return True
    return re.fullmatch(_pattern(shown), "\n".join(_canonical(output))) is not None


def _canonical(text: str) -> list[str]:
    return [_line(line) for line in text.strip().splitlines() if line.strip()]


def _line(line: str) -> str:
    for pattern, replacement in _REPLACED:
        line = pattern.sub(replacement, line)
    return line.strip()


def _pattern(shown: str) -> str:
    """A pattern of canonical lines, each ended by a line's end but the last."""
    parts = []
    for line in _canonical(shown):
        if line == ANYTHING:
            parts.append(r"(?:[^\n]*(?:\n|$))*?")
        else:
            inner = ".*".join(re.escape(piece.strip()) for piece in line.split(ANYTHING))
            parts.append(rf"{inner}(?:\n|$)")
    return "".join(parts)
