"""On which TCP ports the processes of a network namespace listen. Source: man 5 proc (net/tcp)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

LISTEN: Final = "0A"  # TCP_LISTEN of include/net/tcp_states.h.
LOOPBACK: Final = ("0100007F", "00000000000000000000000001000000")  # In host byte order.


class Port(NamedTuple):
    number: int
    loopback: bool


def ports(pid: int) -> list[Port]:
    """Of the namespace of a process; none when it has ended."""
    texts = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}") as file:
                texts.append(file.read())
        except OSError:
            continue
    return parse(texts)


def parse(texts: Iterable[str]) -> list[Port]:
    """Lowest first; one that is reached from outside hides one of the same number that is not."""
    found: dict[int, bool] = {}
    for text in texts:
        for line in text.splitlines()[1:]:
            words = line.split()
            if len(words) > 3 and words[3] == LISTEN:
                address, _, port = words[1].partition(":")
                number = int(port, 16)
                found[number] = found.get(number, True) and address in LOOPBACK
    return [Port(number, loopback) for number, loopback in sorted(found.items())]
