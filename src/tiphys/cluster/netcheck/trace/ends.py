"""Both ends of a trace as the user writes them. Pure.

FROM   pod/NAME, NAMESPACE/POD, deploy/NAME, node/NAME
TO     svc/NAME[.NAMESPACE][:PORT], pod/NAME[.NAMESPACE]:PORT, URL, ADDRESS:PORT, NAME[:PORT]
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_SOURCES: Final = {
    "pod": "pod",
    "pods": "pod",
    "po": "pod",
    "deploy": "deployment",
    "deployment": "deployment",
    "node": "node",
    "no": "node",
}
_TARGETS: Final = {"svc": "service", "service": "service", "pod": "pod", "po": "pod"}
_SCHEME_PORTS: Final = {"http": 80, "https": 443}
PORT_DEFAULT: Final = 80


class EndError(ValueError):
    """An end that cannot be understood or found."""


@dataclass(frozen=True, slots=True)
class Source:
    kind: str  # pod, deployment or node
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """kind: service, pod, address or name. port: a number, a port's name, or "" for the first."""

    kind: str
    namespace: str
    name: str
    port: str = ""
    protocol: str = "tcp"


def source(text: str, namespace: str) -> Source:
    """Raises EndError."""
    kind, separator, name = text.partition("/")
    if not separator or not kind or not name:
        raise EndError(f'"{text}" is no start: use pod/NAME, NAMESPACE/POD, deploy/NAME, node/NAME')
    if kind in _SOURCES:
        return Source(_SOURCES[kind], namespace, name)
    return Source("pod", kind, name)


def target(text: str, namespace: str, protocol: str = "tcp") -> Target:
    """Raises EndError."""
    if "://" in text:
        return _of_url(text)
    kind, separator, rest = text.partition("/")
    name, _, port = (rest if separator else text).partition(":")
    if not name or "/" in name:
        raise EndError(f'"{text}" is no end: use svc/NAME[:PORT], pod/NAME:PORT, URL, HOST:PORT')
    if port.isdigit() and not 0 < int(port) < 65536:
        raise EndError(f'"{text}": {port} is no port')
    if separator:
        if kind not in _TARGETS:
            raise EndError(f'"{text}": "{kind}" is no kind of end: use svc or pod')
        name, _, other = name.partition(".")
        return Target(_TARGETS[kind], other or namespace, name, port, protocol)
    return Target("address" if is_address(name) else "name", "", name, port, protocol)


def _of_url(text: str) -> Target:
    found = urlsplit(text)
    try:
        port = found.port or _SCHEME_PORTS.get(found.scheme)
    except ValueError as exc:
        raise EndError(f'"{text}": {exc}') from exc
    if not found.hostname or port is None:
        raise EndError(f'"{text}" is no URL with a host and a known port')
    kind = "address" if is_address(found.hostname) else "name"
    return Target(kind, "", found.hostname, str(port))


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
