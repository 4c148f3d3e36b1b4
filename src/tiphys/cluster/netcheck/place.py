"""Where facts are gathered: the host, a node's network namespace, a pod's.

Thin shell: everything here asks the kernel, nothing judges.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tiphys.lib import sysctl
from tiphys.lib.netlink import netns

HOST: Final = "host"
_SECONDS_MAX: Final = 30.0


class PlaceError(Exception):
    """A fact could not be had: what was asked where, and the answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """namespace: None for the machine's own network."""

    name: str
    namespace: Path | None = None
    address: str = ""

    @property
    def prefix(self) -> str:
        """What stands before a command of a fix so that it works there."""
        return "" if self.namespace is None else f"nsenter --net={self.namespace} "

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets made and files read by this thread are the place's."""
        if self.namespace is None:
            yield
            return
        with netns.inside(self.namespace):
            yield

    def run(self, words: Sequence[str], text: str = "") -> str:
        """A command's output. Raises PlaceError with its words."""
        with self.inside():
            return run(words, text, self.name)

    def json(self, words: Sequence[str]) -> Any:
        """What `ip -j` prints: a list, empty where it prints nothing. Raises PlaceError."""
        return orjson.loads(self.run(words).strip() or "[]")

    def sysctl(self, name: str) -> str | None:
        """None where the kernel has no such setting."""
        with self.inside():
            try:
                return sysctl.read(name)
            except OSError:
                return None

    def links(self) -> list[dict[str, Any]]:
        """As `ip -j link` tells. Raises PlaceError."""
        found: list[dict[str, Any]] = self.json(["ip", "-j", "link"])
        return found


def run(words: Sequence[str], text: str = "", where: str = HOST) -> str:
    """Raises PlaceError."""
    try:
        done = subprocess.run(
            words, input=text, text=True, capture_output=True, timeout=_SECONDS_MAX, check=False
        )
    except FileNotFoundError as exc:
        raise PlaceError(f"{words[0]} is missing: install the package that has it") from exc
    except subprocess.TimeoutExpired as exc:
        raise PlaceError(f"{words[0]} on {where} did not end in {_SECONDS_MAX:g} s") from exc
    if done.returncode != 0:
        raise PlaceError(f"{' '.join(words[:4])} on {where}: {done.stderr.strip()}")
    return done.stdout
