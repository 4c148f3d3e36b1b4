"""Segments: files to which chunks of log lines are appended, and the search within a chunk.

A chunk is a run of whole lines as the container runtime wrote them (CRI's format), of one file.
Nothing is parsed when it is stored; a search looks for the text with libc's memmem in mapped memory
(several GB/s) and parses only the lines that have it.
"""

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_libc = ctypes.CDLL(None)
_memmem = _libc.memmem
_memmem.restype = ctypes.c_void_p
_memmem.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]

SEGMENT_BYTES_MAX: Final = 64 << 20  # Then a new one is begun; retention removes whole segments.
_SUFFIX: Final = ".log"


def path_of(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}{_SUFFIX}"


def numbers(directory: Path) -> list[int]:
    """The segments there are, the oldest first."""
    return sorted(int(p.stem) for p in directory.glob(f"*{_SUFFIX}"))


class SegmentWriter:
    """Appends to one segment. What lies behind `size` was never promised and is cut off."""

    def __init__(self, directory: Path, number: int, size: int) -> None:
        self.number = number
        self.size = size
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path_of(directory, number), flags, 0o600)
        os.ftruncate(self._fd, size)

    def append(self, data: bytes) -> int:
        """Returns where it begins. Raises OSError; nothing counts before `sync` and the index."""
        offset = self.size
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self.size)
            self.size += written
            view = view[written:]
        return offset

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """A segment in memory. Raises OSError, ValueError for an empty one."""
    # A private copy: ctypes takes addresses of writable memory only. Nothing is written.
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as memory,
    ):
        yield memory


def matching_lines(
    memory: mmap.mmap, start: int, end: int, text: bytes
) -> Iterator[tuple[int, bytes]]:
    """The lines between two offsets that contain the text, with where each begins.

    All of them for an empty text.
    """
    anchor = ctypes.c_char.from_buffer(memory)
    base = ctypes.addressof(anchor)
    try:
        while start < end:
            hit = start
            if text:
                found = _memmem(base + start, end - start, text, len(text))
                if found is None:
                    return
                hit = found - base
            begin = memory.rfind(b"\n", start, hit) + 1 or start
            stop = memory.find(b"\n", hit, end)
            stop = end if stop < 0 else stop
            yield begin, memory[begin:stop]
            start = stop + 1
    finally:
        del anchor  # Else the memory could not be closed.
