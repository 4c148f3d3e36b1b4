"""The ConfigMap kube-system/kube-dns: whom to ask for which names. Pure.

    data:
      stubDomains: |
        {"acme.local": ["10.1.2.3"], "corp.example": ["10.1.2.4:5353"]}
      upstreamNameservers: |
        ["9.9.9.9", "149.112.112.112"]

Upstream: kubernetes/dns pkg/dns/config (config.go, sync.go), whose ConfigMap this is.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from tiphys.api.meta import Obj, at

NAMESPACE: Final = "kube-system"
NAME: Final = "kube-dns"
STUB_DOMAINS: Final = "stubDomains"
UPSTREAM_NAMESERVERS: Final = "upstreamNameservers"
UPSTREAMS_MAX: Final = 3  # Upstream: pkg/dns/config maxUpstreamNameservers, as in resolv.conf.
STUB_DOMAINS_MAX: Final = 100  # Ours: each name that is asked is compared with all.
PORT: Final = 53
_DOMAIN: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)


class Upstream(NamedTuple):
    """A server that is asked."""

    address: str
    port: int = PORT

    def __str__(self) -> str:
        return self.address if self.port == PORT else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """stubs: by lower-case domain. upstreams: () leaves everything else to the machine's own."""

    stubs: Mapping[str, tuple[Upstream, ...]] = field(default_factory=dict)
    upstreams: tuple[Upstream, ...] = ()

    def stub_for(self, name: str) -> tuple[Upstream, ...]:
        """Of the longest domain that the (lower-case) name lies in; () for none."""
        while name and self.stubs:
            found = self.stubs.get(name)
            if found is not None:
                return found
            name = name.partition(".")[2]
        return ()


class SettingsError(ValueError):
    """A ConfigMap that says nothing usable: which key, and what is wrong with it."""


def settings(config_map: Obj | None, cluster_domain: str) -> Settings:
    """What a ConfigMap asks for; without one, nothing. Raises SettingsError."""
    data = at(config_map, "data", default={})
    unknown = sorted(data.keys() - {STUB_DOMAINS, UPSTREAM_NAMESERVERS, "federations"})
    if unknown:
        known = f"{STUB_DOMAINS} and {UPSTREAM_NAMESERVERS}"
        raise SettingsError(f'"{unknown[0]}" is no key of it; there are {known}')
    stubs = _json(data, STUB_DOMAINS, dict)
    if len(stubs) > STUB_DOMAINS_MAX:
        raise SettingsError(f"{STUB_DOMAINS}: more than {STUB_DOMAINS_MAX} domains")
    upstreams = _servers(UPSTREAM_NAMESERVERS, _json(data, UPSTREAM_NAMESERVERS, list))
    if len(upstreams) > UPSTREAMS_MAX:
        raise SettingsError(f"{UPSTREAM_NAMESERVERS}: more than {UPSTREAMS_MAX} servers")
    found = {_domain(d, cluster_domain): _stub_servers(d, s) for d, s in stubs.items()}
    return Settings(found, upstreams)


def _json(data: Obj, key: str, kind: type) -> Any:
    text = str(data.get(key) or "").strip()
    if not text:
        return kind()
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise SettingsError(f"{key} is not JSON: {exc}") from exc
    if not isinstance(found, kind):
        shape = '{"DOMAIN": ["ADDRESS", ...]}' if kind is dict else '["ADDRESS", ...]'
        raise SettingsError(f"{key} must look like {shape}")
    return found


def _domain(domain: str, cluster_domain: str) -> str:
    name = domain.rstrip(".").lower()
    if not _DOMAIN.fullmatch(name):
        raise SettingsError(f'{STUB_DOMAINS}: "{domain}" is no domain')
    if name == cluster_domain or name.endswith(f".{cluster_domain}"):
        raise SettingsError(f'{STUB_DOMAINS}: "{domain}" lies in the cluster\'s own domain')
    return name


def _stub_servers(domain: str, servers: object) -> tuple[Upstream, ...]:
    where = f"{STUB_DOMAINS}.{domain}"
    if not isinstance(servers, list) or not servers:
        raise SettingsError(f'{where} must look like ["ADDRESS", ...]')
    return _servers(where, servers)


def _servers(where: str, servers: list[object]) -> tuple[Upstream, ...]:
    return tuple([_server(where, str(one)) for one in servers])


def _server(where: str, text: str) -> Upstream:
    """`10.1.2.3`, `10.1.2.3:5353`, `2001:db8::1`, `[2001:db8::1]:5353`."""
    address, separator, port = text.rpartition(":")
    if not separator or (":" in address and not address.startswith("[")):
        address, port = text, str(PORT)
    try:
        number = int(port)
        found = str(ip_address(address.strip("[]")))
    except ValueError:
        number, found = 0, ""
    if not 0 < number < 65536:
        raise SettingsError(f'{where}: "{text}" is neither ADDRESS nor ADDRESS:PORT')
    return Upstream(found, number)
