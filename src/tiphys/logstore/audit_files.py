"""Files of audit events (a JSON object a line) as lines of the store. Pure but for the listing.

DIRECTORY/NAME.log    and NAME-TIME.log, after a rotation; NAME is the API server's machine
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tiphys.logstore.index import AUDIT, Source
from tiphys.logstore.record import record_at

_STAMP: Final = re.compile(rb'"stageTimestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z"')
_ROTATED: Final = re.compile(r"-\d{4}-\d\d-\d\dT[0-9.-]+$")
_NO_TIME: Final = b"1970-01-01T00:00:00.000000000Z"


def files(directory: Path) -> Iterator[tuple[Source, Path]]:
    for path in sorted(directory.glob("*.log")):
        yield Source("", "", "", "", _ROTATED.sub("", path.stem), AUDIT), path


def lines(data: bytes) -> bytes:
    """Whole lines of a file, each behind its time."""
    return b"".join(record_at(_time(line), line) for line in data.split(b"\n")[:-1])


def _time(line: bytes) -> bytes:
    """The last one that looks like it: an object within the event may hold another."""
    found = _STAMP.findall(line)
    if not found:
        return _NO_TIME
    second, fraction = found[-1]
    return b"%b.%bZ" % (second, fraction.ljust(9, b"0"))
