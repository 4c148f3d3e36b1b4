"""Validation of Endpoints. Upstream: pkg/apis/core/validation/validation.go."""

from tiphys.api import names
from tiphys.api.field_errors import FieldError, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core.service_rules import endpoint_address
from tiphys.apiserver.resources.rules.addresses import legacy_address
from tiphys.apiserver.resources.rules.texts import (
    PROTOCOLS,
    each,
    label_name,
    one_of,
    port_number,
)


def validate(endpoints: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            text = "must specify `addresses` or `notReadyAddresses`"
            errors.append(required(path, text))
        for field in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(subset.get(field) or ()):
                errors += _address(address, f"{path}.{field}[{at}]")
        ports = subset.get("ports") or ()
        for at, port in enumerate(ports):
            errors += _port(port, f"{path}.ports[{at}]", needs_name=len(ports) > 1)
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """What was allowed once may stay as long as nobody changes it."""
    return [] if new.get("subsets") == old.get("subsets") else validate(new)


def _address(address: Obj, path: str) -> list[FieldError]:
    ip = address.get("ip", "")
    errors = legacy_address(ip, f"{path}.ip")
    if address.get("hostname"):
        name = address["hostname"]
        errors += each(f"{path}.hostname", name, names.dns_label(name))
    if address.get("nodeName") is not None:
        name = address["nodeName"]
        errors += each(f"{path}.nodeName", name, names.dns_subdomain(name))
    return errors + endpoint_address(ip, f"{path}.ip")


def _port(port: Obj, path: str, *, needs_name: bool) -> list[FieldError]:
    name = port.get("name", "")
    errors: list[FieldError] = []
    if needs_name and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += each(f"{path}.name", name, names.dns_label(name))
    errors += port_number(port.get("port", 0), f"{path}.port")
    errors += one_of(port.get("protocol", ""), f"{path}.protocol", PROTOCOLS)
    if port.get("appProtocol") is not None:
        errors += label_name(port["appProtocol"], f"{path}.appProtocol")
    return errors
