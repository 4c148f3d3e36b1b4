"""Validation of APIServices. Upstream: kube-aggregator pkg/apis/apiregistration/validation."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.rules.texts import each, unsupported

_STATUSES: Final = ("True", "False", "Unknown")


def validate(api_service: Obj) -> list[FieldError]:
    spec = api_service["spec"]
    group, version = spec.get("group", ""), spec.get("version", "")
    name = api_service["metadata"].get("name", "")
    errors: list[FieldError] = []
    text = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
    generate_name = api_service["metadata"].get("generateName", "")
    if generate_name and generate_name != f"{version}.{group}":
        errors.append(invalid("metadata.generateName", generate_name, text))
    if name != f"{version}.{group}":
        errors.append(invalid("metadata.name", name, text))
    if not group and version != "v1":
        text = "only v1 may have an empty group and it better be legacy kube"
        errors.append(required("spec.group", text))
    if group:
        errors += each("spec.group", group, names.dns_subdomain(group))
    errors += each("spec.version", version, names.dns1035_label(version))
    priority, own = spec.get("groupPriorityMinimum", 0), spec.get("versionPriority", 0)
    if not 0 < priority <= 20000:
        text = "must be positive and less than 20000"
        errors.append(invalid("spec.groupPriorityMinimum", priority, text))
    if not 0 < own <= 1000:
        text = "must be positive and less than 1000"
        errors.append(invalid("spec.versionPriority", own, text))
    return errors + _service(spec)


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    return [
        unsupported(f"status.conditions[{index}].status", condition.get("status", ""), _STATUSES)
        for index, condition in enumerate(at(new, "status", "conditions", default=[]))
        if condition.get("status", "") not in _STATUSES
    ]


def _service(spec: Obj) -> list[FieldError]:
    service, skips = spec.get("service"), spec.get("insecureSkipTLSVerify")
    errors: list[FieldError] = []
    where = "spec.insecureSkipTLSVerify"
    if service is None:
        if spec.get("caBundle"):
            text = "local APIServices may not have a caBundle"
            errors.append(invalid("spec.caBundle", f"{len(spec['caBundle'])} bytes", text))
        if skips:
            text = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid(where, True, text))
        return errors
    missing = [f for f in ("namespace", "name") if not service.get(f)]
    errors += [required(f"spec.service.{field}") for field in missing]
    port = service.get("port", 443)
    texts = [f"port is not valid: {text}" for text in names.port_number(port)]
    errors += each("spec.service.port", port, texts)
    if skips and spec.get("caBundle"):
        errors.append(invalid(where, True, "may not be true if caBundle is present"))
    return errors
