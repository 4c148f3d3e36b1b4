"""Validation of EndpointSlices. Upstream: pkg/apis/discovery/validation/validation.go."""

from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, invalid, required, too_many
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core.service_rules import endpoint_address
from tiphys.apiserver.resources.rules.addresses import (
    canonical_address,
    legacy_address,
    parse_address,
)
from tiphys.apiserver.resources.rules.texts import (
    PROTOCOLS,
    each,
    immutable,
    label_name,
    labels,
    unsupported,
)

ENDPOINTS_MAX: Final = 1000
ADDRESSES_MAX: Final = 100
PORTS_MAX: Final = 20000
TOPOLOGY_LABELS_MAX: Final = 16
HINTS_MAX: Final = 8
_ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")


def validate(endpoint_slice: Obj) -> list[FieldError]:
    kind = endpoint_slice.get("addressType", "")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required("addressType"))
    elif kind not in _ADDRESS_TYPES:
        errors.append(unsupported("addressType", kind, _ADDRESS_TYPES))
    errors += _ports(endpoint_slice.get("ports") or ())
    endpoints = endpoint_slice.get("endpoints") or ()
    if len(endpoints) > ENDPOINTS_MAX:
        errors.append(too_many("endpoints", len(endpoints), ENDPOINTS_MAX))
    else:
        for index, endpoint in enumerate(endpoints):
            errors += _endpoint(endpoint, kind, f"endpoints[{index}]")
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return immutable(new.get("addressType"), old.get("addressType"), "addressType")


def _endpoint(endpoint: Obj, kind: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or ()
    errors: list[FieldError] = []
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > ADDRESSES_MAX:
        errors.append(too_many(f"{path}.addresses", len(addresses), ADDRESSES_MAX))
    for index, address in enumerate(addresses):
        errors += _address(address, kind, f"{path}.addresses", index)
    node = endpoint.get("nodeName")
    if node is not None:
        errors += each(f"{path}.nodeName", node, names.dns_subdomain(node))
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > TOPOLOGY_LABELS_MAX:
        errors.append(too_many(f"{path}.deprecatedTopology", len(topology), TOPOLOGY_LABELS_MAX))
    errors += labels(topology, f"{path}.deprecatedTopology")
    hostname = endpoint.get("hostname")
    if hostname is not None:
        errors += each(f"{path}.hostname", hostname, names.dns_label(hostname))
    return errors + _hints(endpoint.get("hints") or {}, f"{path}.hints")


def _address(address: str, kind: str, path: str, index: int) -> list[FieldError]:
    where = f"{path}[{index}]"
    if kind == "FQDN":
        return _full_name(address, where)
    if kind not in _ADDRESS_TYPES:
        return []
    errors = legacy_address(address, where) if kind == "IPv4" else canonical_address(address, where)
    found = parse_address(address)
    if errors or found is None:
        return errors
    if f"IPv{found.version}" != kind:
        errors.append(invalid(path, address, f"must be an {kind} address"))
    return errors + endpoint_address(address, where)


def _full_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    plain = name.removesuffix(".")
    if texts := names.dns_subdomain(plain):
        return [invalid(path, plain, ",".join(texts))]
    if "." not in plain:
        text = "should be a domain with at least two segments separated by dots"
        return [invalid(path, plain, text)]
    for label in plain.split("."):
        if texts := names.dns_label(label):
            return [invalid(path, label, ",".join(texts))]
    return []


def _hints(hints: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, check in (("forZones", names.label_value), ("forNodes", names.dns_subdomain)):
        values = hints.get(field) or ()
        if len(values) > HINTS_MAX:
            return [*errors, too_many(f"{path}.{field}", len(values), HINTS_MAX)]
        seen: set[str] = set()
        for index, hint in enumerate(values):
            where, name = f"{path}.{field}[{index}].name", hint.get("name", "")
            if name in seen:
                errors.append(duplicate(where, name))
            seen.add(name)
            errors += each(where, name, check(name))
    return errors


def _ports(ports: Sequence[Obj]) -> list[FieldError]:
    if len(ports) > PORTS_MAX:
        return [too_many("ports", len(ports), PORTS_MAX)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            errors += each(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        protocol = port.get("protocol") or ""
        if not protocol:
            errors.append(required(f"{path}.protocol"))
        elif protocol not in PROTOCOLS:
            errors.append(unsupported(f"{path}.protocol", protocol, PROTOCOLS))
        if port.get("appProtocol") is not None:
            errors += label_name(port["appProtocol"], f"{path}.appProtocol")
    return errors
