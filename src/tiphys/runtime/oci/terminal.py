"""Pseudo terminals from the container's own devpts. Source: man 4 pts, ioctl_tty."""

import fcntl
import os
import struct
from typing import Final

TIOCGPTN: Final = 0x80045430
TIOCSPTLCK: Final = 0x40045431
TIOCSCTTY: Final = 0x540E
TIOCSWINSZ: Final = 0x5414


def open_pair(pts: int) -> tuple[int, int]:
    """Master and slave of a new terminal of the devpts mounted at the directory pts."""
    master = os.open("ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=pts)
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, b"\0" * 4))
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
    return master, os.open(str(number), flags, dir_fd=pts)


def make_controlling(slave: int) -> None:
    """Make the terminal that of the calling session leader."""
    fcntl.ioctl(slave, TIOCSCTTY, 0)


def resize(master: int, columns: int, rows: int) -> None:
    clamp = [max(0, min(n, 0xFFFF)) for n in (rows, columns)]
    fcntl.ioctl(master, TIOCSWINSZ, struct.pack("HHHH", *clamp, 0, 0))
