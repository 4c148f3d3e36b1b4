"""From a backend of an Ingress to the endpoints that answer for it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tiphys.api.meta import Obj, ObjectKey, at, labels_of, namespace_of
from tiphys.ingress.table import Backend, Endpoint

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"


class NoBackend(Exception):
    """Why there is nothing to send requests to: a reason and a sentence for an event."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Backends:
    """Services and their endpoints; `find` remembers what it has found."""

    def __init__(self, services: Mapping[ObjectKey, Obj], slices: Iterable[Obj]) -> None:
        self._services = services
        self._slices: dict[ObjectKey, list[Obj]] = {}
        for one in slices:
            key = ObjectKey(namespace_of(one), labels_of(one).get(SERVICE_NAME_LABEL, ""))
            self._slices.setdefault(key, []).append(one)
        self._found: dict[str, Backend] = {}

    def find(self, namespace: str, wanted: Obj) -> Backend:
        """wanted: an IngressBackend. Raises NoBackend."""
        reference = wanted.get("service")
        if reference is None:
            raise NoBackend("Unsupported", "backends that are no Service are not served")
        key = ObjectKey(namespace, reference.get("name", ""))
        service = self._services.get(key)
        if service is None:
            raise NoBackend("ServiceNotFound", f'Service "{key}" does not exist')
        if at(service, "spec", "type") == "ExternalName":
            text = f'Service "{key}" is a name for another name: it has no endpoints to send to'
            raise NoBackend("Unsupported", text)
        port = _port(service, reference.get("port") or {})
        if port is None:
            asked = reference.get("port") or {}
            number = asked.get("name") or asked.get("number")
            raise NoBackend("PortNotFound", f'Service "{key}" has no port {number}')
        full_name = f"{key}:{port['port']}"
        if full_name not in self._found:
            endpoints = endpoints_of(self._slices.get(key, ()), port)
            self._found[full_name] = Backend(full_name, endpoints)
        return self._found[full_name]


def _port(service: Obj, asked: Obj) -> Obj | None:
    field, value = ("name", asked["name"]) if asked.get("name") else ("port", asked.get("number"))
    ports: Sequence[Obj] = at(service, "spec", "ports", default=())
    return next((p for p in ports if p.get(field) == value), None)


def endpoints_of(slices: Sequence[Obj], port: Obj) -> tuple[Endpoint, ...]:
    """Those that are ready; without any, those that end but still serve. IPv4 only so far."""
    ready: set[Endpoint] = set()
    ending: set[Endpoint] = set()
    for one in slices:
        if one.get("addressType") != "IPv4":
            continue
        number = _number(one, port.get("name") or "")
        if number is None:
            continue
        for endpoint in one.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            found = {Endpoint(address, number) for address in endpoint.get("addresses") or ()}
            if conditions.get("ready") is not False:
                ready |= found
            elif conditions.get("serving") and conditions.get("terminating"):
                ending |= found
    return tuple(sorted(ready or ending))


def _number(one: Obj, name: str) -> int | None:
    """The number that a Service's port has at the endpoints of a slice."""
    for port in one.get("ports") or ():
        is_tcp = port.get("protocol", "TCP") == "TCP"
        if is_tcp and (port.get("name") or "") == name and port.get("port"):
            return int(port["port"])
    return None
