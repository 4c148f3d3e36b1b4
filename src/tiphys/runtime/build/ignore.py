"""Which files of a context are left out: the patterns of .dockerignore. Pure.

Source: docs.docker.com/build/concepts/context#dockerignore-files; moby/patternmatcher (a pattern
leaves out what it names and all below it; the last pattern that matches decides; `!` takes back).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    expression: re.Pattern[str]
    takes_back: bool


def parse(text: str) -> list[Pattern]:
    """Raises: ValueError naming the line that is no pattern."""
    found = []
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        takes_back = line.startswith("!")
        place = _clean(line.removeprefix("!").strip())
        if not place:
            continue
        try:
            found.append(Pattern(re.compile(translate(place)), takes_back))
        except re.error as exc:
            raise ValueError(f".dockerignore line {number}: {line!r}: {exc}") from exc
    return found


def _clean(pattern: str) -> str:
    """Without leading slash, `.` and `..`, as Go's filepath.Clean of an absolute path."""
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def translate(pattern: str) -> str:
    """A regular expression for a path and everything below it."""
    out: list[str] = []
    index = 0
    while index < len(pattern):
        rest = pattern[index:]
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            index += 3
        elif rest.startswith("**"):
            out.append(".*")
            index += 2
        elif rest[0] == "*":
            out.append("[^/]*")
            index += 1
        elif rest[0] == "?":
            out.append("[^/]")
            index += 1
        elif rest[0] == "[":
            text, index = _bracket(pattern, index)
            out.append(text)
        elif rest[0] == "\\" and len(rest) > 1:
            out.append(re.escape(rest[1]))
            index += 2
        else:
            out.append(re.escape(rest[0]))
            index += 1
    return "".join(out) + r"(?:/.*)?\Z"


def _bracket(pattern: str, index: int) -> tuple[str, int]:
    end = pattern.find("]", index + 1)
    if end < 0:
        raise re.error("missing ]")
    body = pattern[index + 1 : end]
    body = f"^{body[1:]}" if body[:1] in ("^", "!") else body
    return f"[{body}]", end + 1


def is_ignored(path: str, patterns: Sequence[Pattern]) -> bool:
    """path is relative to the context, with slashes."""
    ignored = False
    for pattern in patterns:
        if ignored == pattern.takes_back and pattern.expression.match(path):
            ignored = not pattern.takes_back
    return ignored


def may_hold_kept(patterns: Sequence[Pattern]) -> bool:
    """Whether something below an ignored directory may be taken back."""
    return any(pattern.takes_back for pattern in patterns)
