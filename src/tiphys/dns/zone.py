"""The cluster's names, Service by Service: what one changed costs, not what all cost.

Beside the records of Services (service_records.py):
    DOMAIN                           SOA, NS
    dns-version.DOMAIN               TXT
    A-B-C-D.NS.pod.DOMAIN            A: the address in the name (kubeadm's `pods insecure`)
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Final

from tiphys.api.meta import ObjectKey
from tiphys.dns.packet import AAAA, NS, SOA, TXT, A, Record, Soa
from tiphys.dns.service_records import TTL_SECONDS

SCHEMA_VERSION: Final = "1.1.0"
NEGATIVE_SECONDS: Final = 5  # For how long a name's absence is believed: CoreDNS' default.


class Zone:
    """Records by (lower-case name, type), and every name that exists, inner ones too.

    version: another number after every change.
    """

    def __init__(
        self, domain: str, service_cidrs: Iterable[str] = (), pod_cidrs: Iterable[str] = ()
    ) -> None:
        self.domain = domain
        self.version = 0
        self._networks = [IPv4Network(c) for c in (*service_cidrs, *pod_cidrs)]
        self._records: dict[tuple[str, int], list[Record]] = {}
        self._names: Counter[str] = Counter()  # How many records there are at or below each.
        self._of_service: dict[ObjectKey, list[Record]] = {}
        self._namespaces: frozenset[str] = frozenset()
        self._fixed = {domain, f"svc.{domain}", f"pod.{domain}"}
        version = f"dns-version.{domain}"
        self._add([Record(version, TXT, TTL_SECONDS, SCHEMA_VERSION)])
        server = f"kube-dns.kube-system.svc.{domain}"
        self._add([self.soa, Record(domain, NS, TTL_SECONDS, server)])

    @property
    def soa(self) -> Record:
        server, mailbox = f"ns.dns.{self.domain}", f"hostmaster.{self.domain}"
        data = Soa(server, mailbox, 1, 7200, 1800, 86400, NEGATIVE_SECONDS)
        return Record(self.domain, SOA, TTL_SECONDS, data)

    def put(self, service: ObjectKey, records: list[Record]) -> None:
        """All records of a Service, in place of those that it had; none when it is gone."""
        old = self._of_service.pop(service, [])
        if records:
            self._of_service[service] = records
        if old == records:
            return
        self.version += 1
        self._remove(old)
        self._add(records)

    def set_namespaces(self, names: Iterable[str]) -> None:
        found = frozenset(names)
        if found != self._namespaces:
            self.version += 1
            self._namespaces = found

    def owns(self, name: str) -> bool:
        """Whether we are the authority: our domain, the reverse of our addresses and records."""
        if name == self.domain or name.endswith(f".{self.domain}"):
            return True
        address = reverse_address(name)
        if address is not None and any(address in network for network in self._networks):
            return True
        return name.endswith(".arpa") and name in self._names

    def lookup(self, name: str, kind: int) -> tuple[list[Record], bool]:
        """The records of a name and type, and whether the name exists at all."""
        found = self._records.get((name, kind))
        if found is not None:
            return found, True
        if (address := self._pod_address(name)) is not None:
            wanted = AAAA if ":" in address else A
            record = Record(name, wanted, TTL_SECONDS, address)
            return ([record] if kind == wanted else []), True
        return [], self._exists(name)

    def services(self) -> list[ObjectKey]:
        """Those that have records."""
        return list(self._of_service)

    def _exists(self, name: str) -> bool:
        if name in self._names or name in self._fixed:
            return True
        space, _, rest = name.partition(".")
        return space in self._namespaces and rest in (f"svc.{self.domain}", f"pod.{self.domain}")

    def _pod_address(self, name: str) -> str | None:
        """`10-244-0-5.default.pod.cluster.local` holds its own answer."""
        suffix = f".pod.{self.domain}"
        if not name.endswith(suffix):
            return None
        first, _, namespace = name.removesuffix(suffix).partition(".")
        if namespace not in self._namespaces:
            return None
        for text in (first.replace("-", "."), first.replace("-", ":")):
            try:
                return str(ip_address(text))
            except ValueError:
                continue
        return None

    def _add(self, records: list[Record]) -> None:
        for record in records:
            self._records.setdefault((record.name, record.type), []).append(record)
            self._names.update(_upwards(record.name))

    def _remove(self, records: list[Record]) -> None:
        for record in records:
            key = (record.name, record.type)
            # Answers hold the old list while they are written: a new one, not a shorter one.
            left = list(self._records[key])
            left.remove(record)
            self._records[key] = left
            if not left:
                del self._records[key]
            for name in _upwards(record.name):
                self._names[name] -= 1
                if not self._names[name]:
                    del self._names[name]


def _upwards(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition(".")[2]


def reverse_address(name: str) -> IPv4Address | None:
    """`5.0.244.10.in-addr.arpa` -> 10.244.0.5."""
    if not name.endswith(".in-addr.arpa"):
        return None
    parts = name.removesuffix(".in-addr.arpa").split(".")
    try:
        return IPv4Address(".".join(reversed(parts)))
    except ValueError:
        return None
