"""What directories take, and what their file system has."""

import os
from pathlib import Path
from typing import Final, NamedTuple

FILES_MAX: Final = 100_000  # Files of one directory that are counted.


class DiskUsage(NamedTuple):
    used_bytes: int
    inodes_used: int

    def fields(self) -> dict[str, int]:
        """As FsStats has them."""
        return {"usedBytes": self.used_bytes, "inodesUsed": self.inodes_used}


def disk_usage(directory: Path) -> DiskUsage:
    """Of the files below directory, of whose links none is followed."""
    used = inodes = 0
    pending = [str(directory)]
    while pending and inodes < FILES_MAX:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            inodes += 1
            try:
                used += entry.stat(follow_symlinks=False).st_blocks * 512
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
    return DiskUsage(used, inodes)


def filesystem(directory: Path) -> dict[str, int]:
    """FsStats of the file system that directory is on; empty where it is not there."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return {}
    return {
        "availableBytes": found.f_bavail * found.f_frsize,
        "capacityBytes": found.f_blocks * found.f_frsize,
        "usedBytes": (found.f_blocks - found.f_bfree) * found.f_frsize,
        "inodesFree": found.f_ffree,
        "inodes": found.f_files,
        "inodesUsed": found.f_files - found.f_ffree,
    }
