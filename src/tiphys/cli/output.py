"""What commands say: words for people, JSON where asked for, errors with a way out.

An error is one line `Error: what failed`, then what to do. With `-o json` it is an object too.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any


class CommandError(Exception):
    """A command cannot do what was asked. `fix` is what to do next."""

    def __init__(self, message: str, *, fix: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.code = code


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
        print(json.dumps({"error": error.message, "fix": error.fix, "exitCode": error.code}))
    print(f"Error: {error.message}", file=sys.stderr)
    if error.fix:
        print(f"  {error.fix}", file=sys.stderr)
    return error.code


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as kubectl prints them: padded, three spaces apart."""
    widths = [max(len(str(r[i])) for r in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [str(c).ljust(w) for c, w in zip(row, widths, strict=True)]
        lines.append("   ".join(cells).rstrip())
    return "\n".join(lines)
