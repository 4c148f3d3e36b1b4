"""One thing that a change would add to a node, take away or replace."""

from collections.abc import Iterable
from dataclasses import dataclass

ADD, REMOVE, REPLACE = "add", "remove", "replace"


@dataclass(frozen=True, slots=True)
class Change:
    """kind: rule, element, route, link, neighbour, forwarding, mtu, socket."""

    where: str
    action: str
    kind: str
    what: str


def counted(changes: Iterable[Change]) -> list[tuple[str, str, str, int]]:
    """(where, action, kind, how many), in the order of the first of each. Pure."""
    found: dict[tuple[str, str, str], int] = {}
    for one in changes:
        key = (one.where, one.action, one.kind)
        found[key] = found.get(key, 0) + 1
    return [(*key, count) for key, count in found.items()]
