"""What every kind of probe gets and gives. Upstream: pkg/probe/probe.go."""

from typing import Literal, NamedTuple

from tiphys.api.meta import Obj
from tiphys.kubelet.runtime_state import RuntimeContainer

MESSAGE_CHARS_MAX = 10 * 1024  # prober maxRespBodyLength, exec maxReadLength


class Outcome(NamedTuple):
    """`unknown` is a probe that could not be made: it changes nothing."""

    verdict: Literal["success", "failure", "unknown"]
    message: str = ""


class Target(NamedTuple):
    """What is probed."""

    pod: Obj
    container: Obj
    running: RuntimeContainer
    pod_ip: str


class PortError(ValueError):
    """A probe's port that the container does not have."""


def port_number(port: int | str, container: Obj) -> int:
    """The number of a port or of a named port of the container. Raises PortError."""
    if isinstance(port, int):
        number = port
    elif port.isdigit():
        number = int(port)
    else:
        named = (p for p in container.get("ports") or [] if p.get("name") == port)
        number = next((int(p["containerPort"]) for p in named), 0)
        if not number:
            raise PortError(f"couldn't find port: {port} in container {container['name']}")
    if not 0 < number < 1 << 16:
        raise PortError(f"invalid port number: {number}")
    return number


def join_host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def dial_error(host: str, port: int, error: OSError | TimeoutError) -> str:
    """As Go's net.Dial says it."""
    where = f"dial tcp {join_host_port(host, port)}"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: connect: connection refused"
    if isinstance(error, TimeoutError):
        return f"{where}: i/o timeout"
    text = (error.strerror or str(error)).lower()
    return f"{where}: connect: {text}"
