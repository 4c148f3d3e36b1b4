"""What a claim asks for. Upstream: pkg/apis/resource/validation (validateDeviceClaim)."""

from functools import partial
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.resource_k8s_io import device_rules
from tiphys.apiserver.resources.resource_k8s_io.bounded import each_of, itself, unique_of
from tiphys.apiserver.resources.resource_k8s_io.names import (
    class_name,
    fully_qualified_name,
    label,
)

REQUESTS_MAX: Final = 32  # DeviceRequestsMaxSize
CONSTRAINTS_MAX: Final = 32  # DeviceConstraintsMaxSize
ALTERNATIVES_MAX: Final = 8  # FirstAvailableDeviceRequestMaxSize
ADMIN_LABEL: Final = "resource.kubernetes.io/admin-access"
_MODES: Final = ("All", "ExactCount")
_ONE_OF: Final = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST: Final = (
    "must be the name of a request in the claim or the name of a request and a subrequest "
    "separated by '/'"
)
# Upstream says so of a constraint without fields.
_NO_CONSTRAINT: Final = (
    'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are '
    "set"
)

Requests = dict[str, frozenset[str]]
"""The names of a claim's requests, each with those of its alternatives."""


def claim_spec(spec: Obj, path: str) -> list[FieldError]:
    devices, where = spec.get("devices") or {}, f"{path}.devices"
    known = requests_of(spec)
    found = devices.get("requests") or ()
    errors = unique_of(found, REQUESTS_MAX, _request, _name, f"{where}.requests")
    constraint = partial(_constraint, known=known)
    found = devices.get("constraints") or ()
    errors += each_of(found, CONSTRAINTS_MAX, constraint, f"{where}.constraints")
    config = partial(_config, known=known)
    found = devices.get("config") or ()
    return errors + each_of(found, device_rules.CONFIGS_MAX, config, f"{where}.config")


def requests_of(spec: Obj) -> Requests:
    return {
        request.get("name", ""): frozenset(map(_name, request.get("firstAvailable") or ()))
        for request in (spec.get("devices") or {}).get("requests") or ()
    }


def _name(request: Obj) -> str:
    return str(request.get("name", ""))


def _request(request: Obj, path: str) -> list[FieldError]:
    errors = label(_name(request), f"{path}.name")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        return [*errors, required(path, _ONE_OF)]
    if exactly is not None and alternatives:
        return [*errors, invalid(path, None, f"{_ONE_OF}, but multiple fields are set")]
    if exactly is not None:
        return errors + _wish(exactly, f"{path}.exactly")
    where = f"{path}.firstAvailable"
    return errors + unique_of(alternatives or (), ALTERNATIVES_MAX, _alternative, _name, where)


def _alternative(request: Obj, path: str) -> list[FieldError]:
    return label(_name(request), f"{path}.name") + _wish(request, path)


def _wish(request: Obj, path: str) -> list[FieldError]:
    """What an exact request and an alternative have in common."""
    errors = class_name(request.get("deviceClassName", ""), f"{path}.deviceClassName")
    errors += device_rules.selectors(request.get("selectors"), f"{path}.selectors")
    mode, count = request.get("allocationMode", ""), request.get("count", 0)
    if mode not in _MODES:
        errors.append(not_supported(f"{path}.allocationMode", mode, _MODES))
    elif mode == "All" and count:
        text = "must not be specified when allocationMode is 'All'"
        errors.append(invalid(f"{path}.count", count, text))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(f"{path}.count", count, "must be greater than zero"))
    for index, value in enumerate(request.get("tolerations") or ()):
        errors += device_rules.toleration(value, f"{path}.tolerations[{index}]")
    return errors


def _constraint(constraint: Obj, path: str, known: Requests) -> list[FieldError]:
    errors = request_names(constraint.get("requests"), f"{path}.requests", known)
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            return errors + fully_qualified_name(constraint[field], f"{path}.{field}")
    return [*errors, required(path, _NO_CONSTRAINT)]


def _config(config: Obj, path: str, known: Requests) -> list[FieldError]:
    errors = request_names(config.get("requests"), f"{path}.requests", known)
    return errors + device_rules.configuration(config, path)


def request_names(values: list[str] | None, path: str, known: Requests) -> list[FieldError]:
    rule = partial(request_name, known=known)
    return unique_of(values or (), REQUESTS_MAX, rule, itself, path)


def request_name(value: str, path: str, known: Requests) -> list[FieldError]:
    """`request` or `request/alternative`."""
    parts = value.split("/")
    if len(parts) > 2:
        return [invalid(path, value, _NO_REQUEST)]
    errors = [error for part in parts for error in label(part, path)]
    alternatives = known.get(parts[0])
    if alternatives is None or not alternatives.issuperset(parts[1:]):
        errors.append(invalid(path, value, _NO_REQUEST))
    return errors


def admin_access(spec: Obj, namespace_labels: dict[str, str]) -> list[FieldError]:
    """Devices that others use are for namespaces that an administrator marked."""
    if namespace_labels.get(ADMIN_LABEL) == "true":
        return []
    for index, request in enumerate((spec.get("devices") or {}).get("requests") or ()):
        if (request.get("exactly") or {}).get("adminAccess"):
            text = (
                f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the "
                "containing namespace"
            )
            # The same path in a claim template, as upstream.
            return [forbidden(f"spec.devices.requests[{index}].adminAccess", text)]
    return []
