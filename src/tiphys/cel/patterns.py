"""Regular expressions in Go's dialect, which take time proportional to the text.

RE2 itself, as Go's package has the same syntax and the same promise; Python's `re` has neither. It
is loaded with the first pattern.
Source: github.com/google/re2 (syntax), Go regexp/syntax (ErrorCode).
"""

from functools import lru_cache
from typing import Any, Final

PATTERNS_MAX: Final = 256  # Compiled ones that are kept.
MEMORY_BYTES_MAX: Final = 1 << 20  # Of one pattern, with what it remembers of texts.
# RE2's words and Go's for the same mistakes.
_GO_WORDS: Final = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "trailing \\": "trailing backslash at end of expression",
    "invalid UTF-8": "invalid UTF-8",
    "invalid named capture group": "invalid named capture",
}


class BadPattern(ValueError):
    """The text says what Go's compiler says."""


class Pattern:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def is_found(self, text: str) -> bool:
        return self._compiled.search(text) is not None

    def first(self, text: str) -> str:
        """The leftmost match, or nothing."""
        found = self._compiled.search(text)
        return str(found[0]) if found else ""

    def all(self, text: str, count: int) -> list[str]:
        """Matches from left to right; all where the count is negative."""
        found: list[str] = []
        end = -1
        for match in self._compiled.finditer(text):
            if 0 <= count <= len(found):
                break
            # Go has no empty match right behind another one.
            if match.start() == match.end() == end:
                continue
            end = match.end()
            found.append(match[0])
        return found


@lru_cache(maxsize=PATTERNS_MAX)
def compiled(pattern: str) -> Pattern:
    """Raises BadPattern."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES_MAX
    try:
        return Pattern(re2.compile(pattern, options=options))
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(f"error parsing regexp: {_go_text(pattern, error)}") from None


def _go_text(pattern: str, error: Exception) -> str:
    told = error.args[0] if error.args else ""
    text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    for words, go_words in _GO_WORDS.items():
        if text.startswith(words):
            place = text[len(words) :].removeprefix(": ")
            return f"{go_words}: `{place}`" if place else go_words
    words, colon, place = text.partition(": ")
    return f"{words}: `{place}`" if colon else f"{text}: `{pattern}`"
