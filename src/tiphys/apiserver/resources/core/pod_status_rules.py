"""What a pod's status may say; kubelets write it, and whoever acts as one.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodStatusUpdate).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.core.container_status_rules import container_statuses
from tiphys.apiserver.resources.rules.addresses import legacy_address, parse_address
from tiphys.apiserver.resources.rules.pod_annotations import changed_annotations
from tiphys.apiserver.resources.rules.texts import each, immutable, label_name

# Conditions of upstream's own, whose types are no qualified names of somebody.
_SYSTEM_CONDITIONS: Final = frozenset({"PodScheduled", "Ready", "Initialized"})
_NOT_NEGATIVE: Final = "must be a non-negative integer"


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    errors: list[FieldError] = []
    if new["metadata"].get("annotations") or old["metadata"].get("annotations"):
        errors += changed_annotations(new, old)
    errors += _conditions(status.get("conditions") or ())
    errors += _nominated_node(status, before, old["spec"])
    if status.get("observedGeneration", 0) < 0:
        value = status["observedGeneration"]
        errors.append(invalid("status.observedGeneration", value, _NOT_NEGATIVE))
    quality = status.get("qosClass", "")
    errors += immutable(quality, before.get("qosClass", ""), "status.qosClass")
    moves, rest = container_statuses(status, before, old["spec"])
    errors += moves
    claims = status.get("resourceClaimStatuses") or ()
    errors += _claims(claims, new["spec"].get("resourceClaims") or ())
    errors += _extended_claim(status.get("extendedResourceClaimStatus"), new["spec"])
    errors += _addresses(status.get("podIPs") or [], before, "podIPs", "PodIP")
    first = at(status, "hostIPs", 0, "ip", default="")
    if status.get("hostIPs") and status.get("hostIP", "") != first:
        errors.append(invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
    errors += _addresses(status.get("hostIPs") or [], before, "hostIPs", "HostIP")
    return errors + rest


def _conditions(conditions: Sequence[Obj]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, condition in enumerate(conditions):
        path, generation = f"status.conditions[{index}]", condition.get("observedGeneration", 0)
        if generation < 0:
            errors.append(invalid(f"{path}.observedGeneration", generation, _NOT_NEGATIVE))
        if condition.get("type") not in _SYSTEM_CONDITIONS:
            errors += label_name(condition.get("type", ""), f"{path}.Type")
    return errors


def _nominated_node(status: Obj, before: Obj, spec: Obj) -> list[FieldError]:
    """Nobody has plans for a pod that has its node."""
    name, path = status.get("nominatedNodeName", ""), "status.nominatedNodeName"
    if not name or name == before.get("nominatedNodeName", ""):
        return []
    errors = each(path, name, names.dns_subdomain(name))
    if spec.get("nodeName"):
        text = "may not be set on pods that are already bound to a node"
        errors.append(forbidden(path, text))
    return errors


def _claims(statuses: Sequence[Obj], claims: Sequence[Obj]) -> list[FieldError]:
    known = {claim.get("name", "") for claim in claims}
    seen: set[str] = set()
    errors: list[FieldError] = []
    for index, status in enumerate(statuses):
        path, name = f"status.resourceClaimStatuses[{index}]", status.get("name", "")
        if name not in known:
            text = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(f"{path}.name", name, text))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        claim = status.get("resourceClaimName")
        if claim is not None:
            errors += each(f"{path}.resourceClaimName", claim, names.dns_subdomain(claim))
    return errors


def _extended_claim(status: Obj | None, spec: Obj) -> list[FieldError]:
    """The claim that stands for resources of devices that containers ask for by amount."""
    if status is None:
        return []
    path = "status.extendedResourceClaimStatus"
    mappings = status.get("requestMappings") or ()
    errors: list[FieldError] = []
    if not mappings:
        text = "at least one request mapping is required"
        errors.append(required(f"{path}.requestMappings", text))
    errors += _mappings(mappings, spec, path)
    name = status.get("resourceClaimName", "")
    if not name:
        return [*errors, required(f"{path}.resourceClaimName")]
    return errors + each(f"{path}.resourceClaimName", name, names.dns_subdomain(name))


def _mappings(mappings: Sequence[Obj], spec: Obj, above: str) -> Iterator[FieldError]:
    fields = ("containerName", "resourceName", "requestName")
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    asked = {c.get("name", ""): at(c, "resources", "requests", default={}) for c in containers}
    seen: list[list[str]] = []
    for index, mapping in enumerate(mappings):
        path = f"{above}.requestMappings[{index}]"
        container, resource, request = key = [mapping.get(field, "") for field in fields]
        if container not in asked:
            text = "must match the name of an entry in spec.initContainers.name or "
            yield invalid(f"{path}.containerName", container, f"{text}spec.containers.name")
        elif resource not in asked[container]:
            text = (
                "must match the extended resource name of an entry in "
                "spec.initContainers.resources.requests or spec.containers.resources.requests"
            )
            yield invalid(f"{path}.resourceName", resource, text)
        yield from each(f"{above}.requestName", request, names.dns_label(request))
        if key in seen:
            for field, value in zip(fields, key, strict=True):
                yield duplicate(f"{path}.{field}", value)
        seen.append(key)


def _addresses(values: list[Obj], before: Obj, field: str, go_type: str) -> list[FieldError]:
    """Those that are there already may stay as they are."""
    path = f"status.{field}"
    known: set[Any] = {one.get("ip", "") for one in before.get(field) or ()}
    errors: list[FieldError] = []
    for index, one in enumerate(values):
        address = one.get("ip", "")
        if address not in known:
            errors += legacy_address(address, f"{path}[{index}]")
    if len(values) < 2:
        return errors
    found = [parse_address(one.get("ip", "")) for one in values]
    if None in found:
        text = f"failed to check for dual stack with error:invalid IP[{found.index(None)}]: <nil>"
        errors.append(FieldError("InternalError", path, None, text))
    families = {address.version for address in found if address is not None}
    if None in found or len(families) < 2 or len(values) > 2:
        shown = [go_form(one, f"core.v1.{go_type}") for one in values]
        text = "may specify no more than one IP for each IP family"
        errors.append(invalid(path, shown, text))
    return errors
