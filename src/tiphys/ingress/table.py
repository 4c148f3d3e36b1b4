"""What a data plane is told: hosts, their locations, endpoints, certificates. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from tiphys.api.meta import ObjectKey

DEFAULT_HOST: Final = ""  # For requests whose host nobody has named.


class Endpoint(NamedTuple):
    address: str
    port: int


class Match(Enum):
    EXACT = "exact"
    PREFIX = "prefix"  # Element by element: /foo is a prefix of /foo/bar, not of /foobar.
    REGEX = "regex"  # From the path's beginning, whatever the case (ingress-nginx use-regex).


@dataclass(frozen=True, slots=True)
class Options:
    """What annotations of an Ingress may change. Defaults are ingress-nginx's where not said."""

    rewrite_target: str = ""  # May hold $1 to $9, what the path's groups have taken.
    use_regex: bool = False
    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    backend_tls: bool = False
    body_bytes_max: int = 0  # 0: no limit. ingress-nginx has 1 MB.
    connect_seconds: int = 5
    send_seconds: int = 60  # Between two pieces that the backend takes.
    read_seconds: int = 60  # Between two pieces that the backend sends.


@dataclass(frozen=True, slots=True)
class Backend:
    """A port of a Service, and who answers there now."""

    name: str  # namespace/service:port
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Location:
    """Paths of a host, and where their requests go."""

    match: Match
    path: str  # Of a prefix without its last slash: "" is every path.
    backend: Backend
    ingress: ObjectKey
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain and its key, both PEM."""

    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Host:
    """Locations in the order in which they are tried."""

    locations: tuple[Location, ...] = ()
    certificate: Certificate | None = None  # Only its own, none that covers it besides.


@dataclass(frozen=True, slots=True)
class Plan:
    """hosts: by `name`, `*.name` (one label more), or DEFAULT_HOST."""

    hosts: Mapping[str, Host] = field(default_factory=dict)


class Problem(NamedTuple):
    """What keeps a part of an Ingress from working: an event on it says so."""

    ingress: ObjectKey
    reason: str
    message: str


def certificate_of(hosts: Mapping[str, Host], name: str) -> Certificate | None:
    """A host's own certificate, that of its wildcard, or the one for everybody."""
    for candidate in (name, f"*.{name.partition('.')[2]}", DEFAULT_HOST):
        found = hosts.get(candidate)
        if found is not None and found.certificate is not None:
            return found.certificate
    return None
