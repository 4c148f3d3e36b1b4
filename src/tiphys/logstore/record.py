"""A line of the store from something that is no container's log: CRI's format, as all the others.

Times have nine digits behind the point, so that they sort as text.
"""

from datetime import UTC, datetime


def record(moment: datetime, text: str) -> bytes:
    return record_at(f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z".encode(), text.encode())


def record_of_nanoseconds(nanoseconds: int, text: str) -> bytes:
    """Raises ValueError, OverflowError for a time that is none."""
    seconds, rest = divmod(nanoseconds, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    return record_at(f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode(), text.encode())


def record_at(stamp: bytes, text: bytes) -> bytes:
    """A line's end within the text is written as two characters."""
    clean = text.replace(b"\r", b"\\r").replace(b"\n", b"\\n")
    return b"%b stdout F %b\n" % (stamp, clean)
