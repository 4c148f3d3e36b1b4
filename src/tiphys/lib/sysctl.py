"""Kernel settings under /proc/sys, by their dotted names."""

from pathlib import Path
from typing import Final

_ROOT: Final = Path("/proc/sys")


def path_of(name: str) -> Path:
    """`net.ipv4.ip_forward` -> the file. A dot inside a name is written as `/`."""
    parts = name.replace(".", "\0").replace("/", ".").split("\0")
    if any(p in ("", ".", "..") for p in parts):
        raise ValueError(f"not a sysctl name: {name!r}")
    return _ROOT.joinpath(*parts)


def read(name: str) -> str:
    """Raises OSError."""
    return path_of(name).read_text().strip()


def write(name: str, value: str) -> None:
    """Raises OSError."""
    path_of(name).write_text(value)
