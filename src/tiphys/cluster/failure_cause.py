"""Why a start does not come to its end: what the parts that end again and again last said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Profile
from tiphys.lib.logs import PROBLEMS

RESTARTS_MAX: Final = 5  # So often within one start: it will not get better (some 3 seconds).
TAIL_BYTES: Final = 64 << 10
_QUIET: Final = ("Traceback (most recent call last):",)


def failing(known: Sequence[Process], before: Mapping[str, int]) -> list[Process]:
    """Parts that were restarted so often since then that waiting is of no use. Pure.

    before: their restarts by title.
    """
    return [p for p in known if p.restarts - before.get(p.title, 0) >= RESTARTS_MAX]


def of(profile: Profile, known: Sequence[Process]) -> str:
    """`apiserver: its last words`; "" when nothing has failed."""
    for process in sorted(known, key=lambda one: -one.restarts):
        if process.restarts:
            name = f"{process.component}-{process.node}" if process.node else process.component
            words = last_words(_tail(profile.logs / f"{name}.log"))
            return f"{name} ends again and again" + (f": {words}" if words else "")
    return ""


def last_words(text: str) -> str:
    """The last error of a log: the line itself, or what its traceback ends with. Pure."""
    found = ""
    for line in text.splitlines():
        words = line.split(maxsplit=3)
        stamped = len(words) > 1 and words[0].endswith("Z") and words[1].isupper()
        if stamped and words[1] in PROBLEMS:
            found = words[-1]
        elif line and not stamped and not line[0].isspace() and line not in _QUIET:
            found = line  # `OSError: ...`, the last line of a traceback.
    return found


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
