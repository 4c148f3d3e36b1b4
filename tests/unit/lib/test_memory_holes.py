"""Holes in memory are found in CPython's statistics and filled."""

import subprocess
import sys

from tiphys.lib.memory_holes import free_blocks

STATISTICS = """Small block threshold = 512, in 32 size classes.

class   size   num pools   blocks in use  avail blocks
-----   ----   ---------   -------------  ------------
    0     16           1             921           100
    1     32           5            2547             3

# arenas allocated total           =                   22
3 unused pools * 16384 bytes       =               49,152
"""

PROGRAM = """
import sys
from tiphys.lib import memory_holes as m
junk = [[bytes(100) for _ in range(5000)] for _ in range(3)]
kept = [row[::7] for row in junk]
del junk
before = m.free_blocks(m._statistics())
m.fill()
after = m.free_blocks(m._statistics())
print(before[144], after[144])
"""


def test_statistics_are_read_by_size() -> None:
    assert free_blocks(STATISTICS) == {16: 100, 32: 3}
    assert free_blocks("") == {}


def test_holes_are_filled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before > 1000
    assert after < before // 10
    assert done.stderr == "", "the statistics are not shown"
