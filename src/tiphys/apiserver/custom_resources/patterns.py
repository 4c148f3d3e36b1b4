"""Patterns of schemas: Go's regular expressions in Python's words.

Source: github.com/google/re2 syntax. What differs: `$` and `\\z`, POSIX classes, `\\p{..}`.
"""

import re
from functools import lru_cache
from typing import Final

PATTERNS_MAX: Final = 1024  # Compiled ones that are kept.
_POSIX: Final = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:ascii:]": r"\x00-\x7F",
    "[:blank:]": r"\t ",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:space:]": r"\t\n\v\f\r ",
    "[:upper:]": "A-Z",
    "[:word:]": "0-9A-Za-z_",
    "[:xdigit:]": "0-9A-Fa-f",
}
# Unicode classes that patterns of the field use; outside a class of their own they need brackets.
_UNICODE: Final = {
    "L": "A-Za-z\u00aa-\u024f\u0370-\u1fff\u3040-\ud7ff",
    "Lu": "A-Z\u00c0-\u00de",
    "Ll": "a-z\u00df-\u00ff",
    "N": "0-9\u00b2\u00b3\u00b9",
    "Nd": "0-9",
}
_CLASS_NAME: Final = re.compile(r"\\p(?:\{(\w+)\}|(\w))")


class BadPattern(ValueError):
    """The text says what Go's compiler says, as far as we know its words."""


@lru_cache(maxsize=PATTERNS_MAX)
def compiled(pattern: str) -> re.Pattern[str]:
    """Raises BadPattern."""
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPattern(f"error parsing regexp: {_why(pattern, error)}") from None


def _why(pattern: str, error: Exception) -> str:
    text = str(error)
    position = getattr(error, "pos", None) or 0
    if text.startswith("unterminated character set"):
        return f"missing closing ]: `{pattern[position:]}`"
    if text.startswith("missing ), unterminated"):
        return f"missing closing ): `{pattern}`"
    if text.startswith("unbalanced parenthesis"):
        return f"unexpected ): `{pattern}`"
    if text.startswith("nothing to repeat"):
        return f"missing argument to repetition operator: `{pattern[position : position + 1]}`"
    return f"{text}: `{pattern}`"


def _translated(pattern: str) -> str:
    made: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        step, text = _piece(pattern, at, inside=inside)
        if not inside and pattern[at] == "[":
            inside = True
        elif inside and step == 1 and pattern[at] == "]":
            inside = False
        made.append(text)
        at += step
    return "".join(made)


def _piece(pattern: str, at: int, *, inside: bool) -> tuple[int, str]:
    """(how many characters were read, what they are in Python)."""
    one = pattern[at]
    if one == "\\":
        if pattern.startswith(r"\z", at):
            return 2, r"\Z"
        found = _CLASS_NAME.match(pattern, at)
        if found:
            members = _UNICODE.get(found[1] or found[2], _UNICODE["L"])
            return len(found[0]), members if inside else f"[{members}]"
        return 2, pattern[at : at + 2]
    if inside and one == "[":
        for name, members in _POSIX.items():
            if pattern.startswith(name, at):
                return len(name), members
        return 1, r"\["
    if not inside and one == "[":
        # A bracket right behind the opening one is a member of the class, in both dialects.
        for opening in ("[^]", "[]"):
            if pattern.startswith(opening, at):
                return len(opening), opening[:-1] + r"\]"
        return (2, "[^") if pattern.startswith("[^", at) else (1, "[")
    return 1, r"\Z" if one == "$" and not inside else one
