"""One step of a packet's way, and whether a packet gets past it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """way: the endpoint that it leads to; "" for what all ways share. fix: where one is known."""

    name: str
    where: str
    ok: bool
    what: str
    fix: str = ""
    way: str = ""


def first_failing(hops: Iterable[Hop]) -> Hop | None:
    """Pure."""
    return next((hop for hop in hops if not hop.ok), None)
