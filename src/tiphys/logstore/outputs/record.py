"""A line on its way to somebody else, and what all receivers can do."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from tiphys.logstore.index import Source


class Record(NamedTuple):
    """id: the same whenever the line is sent again; a receiver may know it by that."""

    id: str
    time: str  # RFC 3339 in UTC.
    source: Source
    labels: Mapping[str, str]
    stream: str  # stdout, stderr
    text: str


class OutputError(Exception):
    """The receiver did not take the lines: which, and why. They are sent again."""


class Output(Protocol):
    async def send(self, records: Sequence[Record]) -> None:
        """Returns when the receiver has them. Raises OutputError."""
        ...

    def close(self) -> None: ...
