"""`--ports [ADDRESS:]PORT:NODEPORT`: ports of this machine that lead to node ports.

As `docker run --publish`, on every address where none is named; TCP. The relay
is port_relay.py.
"""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from tiphys.cli.output import CommandError


class Published(NamedTuple):
    address: str
    port: int
    node_port: int


def parse(text: str) -> Published:
    """Raises CommandError."""
    parts = text.removesuffix("/tcp").split(":")
    try:
        node_port, port = int(parts[-1]), int(parts[-2])
        address = str(ip_address(parts[0])) if len(parts) == 3 else "0.0.0.0"
        if len(parts) > 3 or not (0 < port < 1 << 16 and 0 < node_port < 1 << 16):
            raise ValueError
    except (ValueError, IndexError) as exc:
        raise CommandError(
            f"--ports {text} is not [ADDRESS:]PORT:NODEPORT",
            fix="such as --ports 8080:30080",
            reason="BAD_VALUE",
        ) from exc
    return Published(address, port, node_port)


def parse_all(texts: Sequence[str]) -> list[Published]:
    """Raises CommandError, also for a port that is named twice."""
    found = [parse(text) for text in texts]
    for one in found:
        if [(f.address, f.port) for f in found].count((one.address, one.port)) > 1:
            raise CommandError(f"--ports names port {one.port} twice", reason="BAD_VALUE")
    return found


def check_free(texts: Sequence[str]) -> None:
    """Raises CommandError for one that somebody listens on."""
    for one in parse_all(texts):
        try:
            socket.create_server((one.address, one.port)).close()
        except OSError as exc:
            raise CommandError(
                f"port {one.port} cannot be published: {exc.strerror}",
                fix=f"see who listens there: ss -ltnp 'sport = :{one.port}'",
                reason="MACHINE_PORT",
            ) from exc
