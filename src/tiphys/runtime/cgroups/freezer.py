"""Freezing the processes of a control group: they keep everything and get no time.

Source: kernel admin-guide/cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst (cgroup.freeze).
"""

import contextlib
import os
import time
from typing import Final

from tiphys.runtime.cgroups.interface import ROOT, read_pairs, read_text, write

SECONDS_MAX: Final = 5.0  # A process in the middle of a system call is frozen at its end.
POLL_SECONDS: Final = 0.005


class Freezer:
    """Paths are relative to the mount, as in Cgroups."""

    def __init__(self, root: str = ROOT) -> None:
        self._unified = os.path.exists(f"{root}/cgroup.controllers")
        self._root = root if self._unified else f"{root}/freezer"

    def freeze(self, path: str) -> None:
        """Returns when all are frozen. Raises OSError, TimeoutError."""
        self._set(path, frozen=True)
        deadline = time.monotonic() + SECONDS_MAX
        while not self.is_frozen(path):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"the processes of {path} are not frozen after {SECONDS_MAX} s")
            time.sleep(POLL_SECONDS)

    def thaw(self, path: str) -> None:
        """Raises OSError."""
        self._set(path, frozen=False)

    def is_frozen(self, path: str) -> bool:
        directory = f"{self._root}/{path}"
        if self._unified:
            return read_pairs(directory, "cgroup.events").get("frozen") == 1
        return read_text(directory, "freezer.state").strip() == "FROZEN"

    def path_of(self, pid: int) -> str:
        """The group of a process, which freezing freezes. Raises OSError."""
        with open(f"/proc/{pid}/cgroup") as file:
            for line in file:
                _, controllers, path = line.rstrip("\n").split(":", 2)
                if (controllers == "") if self._unified else ("freezer" in controllers.split(",")):
                    return path.strip("/")
        return ""

    def thaw_below(self, path: str) -> None:
        """Everything from path down; what is gone or was not frozen is fine."""
        for directory, _, _ in os.walk(f"{self._root}/{path}"):
            with contextlib.suppress(OSError):
                self._set(os.path.relpath(directory, self._root), frozen=False)

    def _set(self, path: str, *, frozen: bool) -> None:
        directory = f"{self._root}/{path}"
        if self._unified:
            write(directory, "cgroup.freeze", "1" if frozen else "0")
        else:
            write(directory, "freezer.state", "FROZEN" if frozen else "THAWED")
