"""What nodes and pods used in the last day, minute by minute, in one file of bounded size.

    header   16 bytes   magic, zeros
    slot     SERIES_MAX times:
      name   508 bytes  `node/NAME` or `pod/NAMESPACE/NAME`, padded with zeros
      last     4 bytes  minute of the newest point
      ring  1440 times: minute (4 bytes), CPU in millicores (4), memory in bytes (8)

Little-endian; minutes since 1970. A point lies at its minute modulo 1440, so the file never grows
beyond BYTES_MAX. When all slots are taken, the series that ended first makes place. Nothing is
synced: a power cut costs a few minutes of a chart.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

MINUTES: Final = 24 * 60
SERIES_MAX: Final = 1024  # Nodes, and pods of a day: nine full nodes of 110 pods.
MAGIC: Final = b"tiphys-history-1"
NAME_BYTES: Final = 508  # A namespace and a pod's name have 63 + 253 at most.
_HEADER: Final = len(MAGIC)
_POINT: Final = struct.Struct("<IIQ")
_LAST: Final = struct.Struct("<I")
_RING_BYTES: Final = MINUTES * _POINT.size
_SLOT_BYTES: Final = NAME_BYTES + _LAST.size + _RING_BYTES
BYTES_MAX: Final = _HEADER + SERIES_MAX * _SLOT_BYTES  # 24 MB; unused slots take no disk.
MILLICORES_MAX: Final = 2**32 - 1


class MinutePoint(NamedTuple):
    """Averages of one minute since 1970."""

    minute: int
    cpu_millicores: int
    memory_bytes: int


class History:
    """One file, one process. Close it with `close`."""

    def __init__(self, path: Path, *, series_max: int = SERIES_MAX) -> None:
        """Opens the file or makes it; one of another format is begun anew. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._series_max = series_max
        self._slots: dict[str, int] = {}
        self._last: dict[int, int] = {}  # By slot.
        if os.pread(self._file, _HEADER, 0) != MAGIC:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, MAGIC, 0)
            return
        self._load()

    def _load(self) -> None:
        for slot in range(self._series_max):
            record = os.pread(self._file, NAME_BYTES + _LAST.size, _start(slot))
            if len(record) < NAME_BYTES + _LAST.size:
                return
            name = record[:NAME_BYTES].rstrip(b"\0").decode(errors="replace")
            if name:
                self._slots[name] = slot
                (self._last[slot],) = _LAST.unpack(record[NAME_BYTES:])

    def write(self, points: Mapping[str, MinutePoint]) -> None:
        """Points by series. Raises OSError."""
        for series, point in points.items():
            slot = self._slots.get(series)
            if slot is None:
                slot = self._take(series)
            ring = _start(slot) + NAME_BYTES + _LAST.size
            cpu = min(point.cpu_millicores, MILLICORES_MAX)
            data = _POINT.pack(point.minute, cpu, point.memory_bytes)
            os.pwrite(self._file, data, ring + point.minute % MINUTES * _POINT.size)
            os.pwrite(self._file, _LAST.pack(point.minute), _start(slot) + NAME_BYTES)
            self._last[slot] = point.minute

    def _take(self, series: str) -> int:
        """A free slot, or that of the series that ended first."""
        slot = len(self._slots)
        if slot >= self._series_max:
            oldest, slot = min(self._slots.items(), key=lambda item: self._last.get(item[1], 0))
            del self._slots[oldest]
        name = series.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        os.pwrite(self._file, name + bytes(_LAST.size + _RING_BYTES), _start(slot))
        self._slots[series] = slot
        return slot

    def read(self, series: str, first: int, last: int) -> list[MinutePoint]:
        """The points from minute first to minute last, in order; none for an unknown series."""
        slot = self._slots.get(series)
        if slot is None:
            return []
        ring = os.pread(self._file, _RING_BYTES, _start(slot) + NAME_BYTES + _LAST.size)
        whole = len(ring) - len(ring) % _POINT.size
        found = (MinutePoint(*values) for values in _POINT.iter_unpack(ring[:whole]))
        first = max(first, last - MINUTES + 1, 1)  # Zero is an entry that was never written.
        return sorted(point for point in found if first <= point.minute <= last)

    def knows(self, series: str) -> bool:
        return series in self._slots

    def close(self) -> None:
        os.close(self._file)


def _start(slot: int) -> int:
    return _HEADER + slot * _SLOT_BYTES
