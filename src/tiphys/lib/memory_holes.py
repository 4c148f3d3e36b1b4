"""Filling the holes in a process's memory before it forks.

Freed memory between living objects is used again by whoever allocates next. In a forked child each
such use copies a whole page that was shared until then, for a few bytes. With the holes filled,
children allocate densely on pages of their own: about 1 MB less in each, for 2 MB once.
Needs CPython's and glibc's statistics; where they are missing nothing is done.
"""

import ctypes
import gc
import os
import sys
import tempfile
from typing import Final

_BYTES_HEADER: Final = 33  # sys.getsizeof(b""): the smallest object that fills a block exactly.
_PASSES: Final = 2  # Filling makes lists, whose blocks are freed again.
_BLOCKS_MAX: Final = 200_000  # A statistic that says more was misread.
_SIZES: Final = (65536, 32768, 16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 24)
_CALLS_MAX: Final = 100_000
_BATCH: Final = 32  # Between two looks at the statistics, which walk all holes.


class _MallocInfo(ctypes.Structure):
    """struct mallinfo2. Source: mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


_kept: list[list[bytes]] = []


def fill() -> None:
    """Call once, after the imports and before the first fork. What is taken is never given back."""
    gc.collect()  # What it frees later would be holes again.
    for _ in range(_PASSES):
        _fill_blocks()
    _fill_heap()


def free_blocks(statistics: str) -> dict[int, int]:
    """Block size -> free blocks, from what sys._debugmallocstats prints. Pure.

    Rows are: class, size, number of pools, blocks in use, free blocks.
    """
    found = {}
    for line in statistics.splitlines():
        words = line.split()
        if len(words) == 5 and all(word.isdigit() for word in words):
            found[int(words[1])] = int(words[4])
    return found


def _statistics() -> str:
    """They are printed on standard error only."""
    print_statistics = getattr(sys, "_debugmallocstats", None)
    if print_statistics is None:
        return ""
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            print_statistics()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return file.read().decode("ascii", "replace")


def _fill_blocks() -> None:
    for size, count in free_blocks(_statistics()).items():
        length = size - _BYTES_HEADER
        if length > 1 and count <= _BLOCKS_MAX:  # Shorter ones are shared objects.
            _kept.append([bytes(length) for _ in range(count)])


def _fill_heap() -> None:
    """malloc's holes, the large ones first, until it would take from the heap's end."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return
    libc.mallinfo2.restype = _MallocInfo
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.malloc_trim(0)
    calls = 0
    for size in _SIZES:
        while calls < _CALLS_MAX:
            before = libc.mallinfo2()
            wanted = min((before.fordblks - before.keepcost) // size, _BATCH)
            if wanted < 1:
                break
            for _ in range(wanted):
                libc.malloc(size)
            calls += wanted
            after = libc.mallinfo2()
            if after.arena != before.arena or after.keepcost < before.keepcost:
                break
