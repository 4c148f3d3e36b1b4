"""Probes and hooks of containers.

Upstream: pkg/apis/core/validation/validation.go (validateHandler and what calls it). Stop signals
are off (ContainerStopSignals): the defaults leave them out.
"""

from typing import Any, Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, not_negative, port_number, port_or_name

_ONE_HANDLER: Final = "may not specify more than 1 handler type"


def lifecycle_and_probes(container: Obj, path: str, grace: int) -> list[FieldError]:
    errors: list[FieldError] = []
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        for hook in ("postStart", "preStop"):
            if hook in lifecycle:
                errors += _handler(lifecycle[hook], f"{path}.lifecycle.{hook}", grace)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            errors += _probe(container[field], f"{path}.{field}", field, grace)
    return errors


_PROBE_NUMBERS: Final = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
    "failureThreshold",
)  # fmt: skip


def _probe(probe: Obj, path: str, field: str, grace: int) -> list[FieldError]:
    errors = _handler(probe, path, grace)
    for number in _PROBE_NUMBERS:
        errors += not_negative(probe, number, path)
    own_grace = probe.get("terminationGracePeriodSeconds")
    where = f"{path}.terminationGracePeriodSeconds"
    if own_grace is not None and own_grace <= 0:
        errors.append(invalid(where, own_grace, "must be greater than 0"))
    if field == "readinessProbe":
        if own_grace is not None:
            errors.append(invalid(where, own_grace, "must not be set for readinessProbes"))
    elif probe.get("successThreshold", 0) != 1:
        value = probe.get("successThreshold", 0)
        errors.append(invalid(f"{path}.successThreshold", value, "must be 1"))
    return errors


def _handler(value: Obj, path: str, grace: int) -> list[FieldError]:
    """What a probe or hook does: exactly one thing."""
    errors: list[FieldError] = []
    found = 0
    for field in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        if value.get(field) is None:
            continue
        found += 1
        where = f"{path}.{field}"
        if found > 1:
            errors.append(forbidden(where, _ONE_HANDLER))
        else:
            errors += _action(field, value[field], where, grace)
    return errors if found else [required(path, "must specify a handler type")]


def _action(field: str, action: Obj, path: str, grace: int) -> list[FieldError]:
    match field:
        case "exec":
            return [] if action.get("command") else [required(f"{path}.command")]
        case "httpGet":
            return _http_get(action, path)
        case "tcpSocket":
            return port_or_name(action.get("port", 0), f"{path}.port")
        case "grpc":
            return port_number(action.get("port", 0), f"{path}.port")
    seconds: Any = action.get("seconds", 0)
    if 0 <= seconds <= grace:
        return []
    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [invalid(path, seconds, text)]


def _http_get(action: Obj, path: str) -> list[FieldError]:
    errors = [] if action.get("path") else [required(f"{path}.path")]
    errors += port_or_name(action.get("port", 0), f"{path}.port")
    scheme = action.get("scheme", "")
    if scheme not in {"HTTP", "HTTPS"}:
        errors.append(not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        errors += each(f"{path}.httpHeaders", name, names.http_header_name(name))
    return errors
