"""What commands say: words for people, JSON where asked for, errors with a way out.

An error is one line `Error: what failed`, then what to do, then its id. With `-o json` it is an
object too (docs/errors.md).
"""

import json
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from tiphys.cli import reasons


class CommandError(Exception):
    """A command cannot do what was asked. `fix` is what to do next, else what its reason says.

    reason: an id of tiphys.cli.reasons. code: where it is not the reason's (kubectl's words).
    """

    def __init__(
        self, message: str, *, fix: str = "", reason: str = "FAILED", code: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reasons.of(reason)
        self.fix = fix or ("" if self.reason is reasons.FAILED else self.reason.fix)
        self.code = code or self.reason.code


class Steps:
    """One line per step with its time; as JSON one object per line."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._began = time.monotonic()
        self._last = self._began

    def say(self, text: str, **fields: Any) -> None:
        """A step is done: `text`, with the seconds it took."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        if self.as_json:
            line = {"step": text, "seconds": round(took, 3), **fields}
            print(json.dumps(line), flush=True)
        else:
            print(f"  {text} ({took:.2f} s)", flush=True)

    def title(self, text: str) -> None:
        if self.as_json:
            print(json.dumps({"step": text}), flush=True)
        else:
            print(text, flush=True)

    def done(self, text: str, **fields: Any) -> None:
        total = time.monotonic() - self._began
        if self.as_json:
            print(json.dumps({"done": text, "seconds": round(total, 3), **fields}), flush=True)
        else:
            print(f"{text} ({total:.2f} s)", flush=True)


def report(error: CommandError, *, as_json: bool) -> int:
    """Say what is wrong and return the exit code."""
    if as_json:
        print(
            json.dumps(
                {
                    "error": error.message,
                    "id": error.reason.id,
                    "why": error.reason.why,
                    "fix": error.fix,
                    "exitCode": error.code,
                }
            )
        )
    print(f"Error: {error.message}", file=sys.stderr)
    if error.fix:
        print(f"  {error.fix}", file=sys.stderr)
    if error.reason is not reasons.FAILED:
        known = f"{error.reason.id} (exit code {error.code}, docs/errors.md)"
        print(f"  {known}", file=sys.stderr)
    return error.code


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, before anybody has parsed it."""
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    pairs = zip_longest(words, words[1:])
    return any(
        word in ("-ojson", "-o=json", "--output=json")
        or (word in ("-o", "--output") and value == "json")
        for word, value in pairs
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as kubectl prints them: padded, three spaces apart."""
    widths = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [str(c).ljust(w) for c, w in zip(row, widths, strict=True)]
        lines.append("   ".join(cells).rstrip())
    return "\n".join(lines)
