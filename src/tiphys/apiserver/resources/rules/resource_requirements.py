"""Requests and limits of containers and pods.

Upstream: pkg/apis/core/validation/validation.go (validateResourceRequirements), core/helper.
"""

from collections.abc import Collection
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from tiphys.api.meta import Obj
from tiphys.api.names import qualified_name
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules.texts import NOT_NEGATIVE, each, label_name

_HUGEPAGES: Final = "hugepages-"
_CONTAINER: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_STANDARD: Final = _CONTAINER | {
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
}
_INTEGER: Final = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
NOT_INTEGER: Final = "must be an integer"


def is_hugepages(name: str) -> bool:
    return name.startswith(_HUGEPAGES)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A device's: also as a quota counts it, with a prefix, a qualified name."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not qualified_name(f"requests.{name}")


def is_overcommit_allowed(name: str) -> bool:
    return is_native(name) and not is_hugepages(name)


def is_integer(name: str) -> bool:
    return name in _INTEGER or is_extended(name)


def is_standard(name: str) -> bool:
    return name in _STANDARD or is_hugepages(name) or name.startswith("requests.hugepages-")


def resource_name(name: str, path: str) -> list[FieldError]:
    errors = label_name(name, path)
    if errors or "/" in name or is_standard(name):
        return errors
    return [invalid(path, name, "must be a standard resource type or fully qualified")]


def container_resource_name(name: str, path: str) -> list[FieldError]:
    errors = resource_name(name, path)
    if "/" not in name:
        if name not in _CONTAINER and not is_hugepages(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def _pod_resource_name(name: str, path: str) -> list[FieldError]:
    errors = resource_name(name, path)
    if not errors and name not in {"cpu", "memory"} and not is_hugepages(name):
        errors.append(not_supported(path, name, ("cpu", _HUGEPAGES, "memory")))
    return errors


def quantity(name: str, value: str, path: str) -> list[FieldError]:
    """An amount of a resource: not negative, whole where parts make no sense."""
    amount = of(value)
    errors = [invalid(path, value, NOT_NEGATIVE)] if amount.nanos < 0 else []
    if is_integer(name) and amount.milli_value % 1000:
        errors.append(invalid(path, value, NOT_INTEGER))
    return errors


def requirements(
    resources: Obj, path: str, claims: Collection[str], *, of_pod: bool = False
) -> list[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    name_check = _pod_resource_name if of_pod else container_resource_name
    errors: list[FieldError] = []
    if of_pod and resources.get("claims"):
        text = "claims may not be set for Resources at pod-level"
        errors.append(forbidden(f"{path}.claims", text))
    for name, value in sorted(limits.items()):
        where = f"{path}.limits[{name}]"
        errors += name_check(name, where) + quantity(name, value, where)
        if is_hugepages(name):
            errors += _hugepages(name, value, where)
    for name, value in sorted(requests.items()):
        where = f"{path}.requests[{name}]"
        errors += name_check(name, where) + quantity(name, value, where)
        errors += _request_within_limit(name, value, limits, path)
        if is_hugepages(name):
            errors += _hugepages(name, value, where)
    both = [*limits, *requests]
    if any(map(is_hugepages, both)) and not {"cpu", "memory"} & set(both):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    return errors + _claims(resources.get("claims") or (), f"{path}.claims", claims)


def _hugepages(name: str, value: str, path: str) -> list[FieldError]:
    size = _page_size(name)
    if size and not of(value).value % size:
        return []
    text = f"{value} is not positive integer multiple of {name}"
    return [invalid(path, value, text)]


def _page_size(name: str) -> int:
    """In bytes; 0 if the name says none."""
    try:
        size = of(name.removeprefix(_HUGEPAGES))
    except ValueError:
        return 0
    return size.value if size.nanos > 0 and not size.milli_value % 1000 else 0


def _request_within_limit(name: str, value: str, limits: Obj, path: str) -> list[FieldError]:
    limit = limits.get(name)
    if limit is None:
        if is_overcommit_allowed(name):
            return []
        text = "Limit must be set for non overcommitable resources"
        return [required(f"{path}.limits", text)]
    if of(value) != of(limit) and not is_overcommit_allowed(name):
        text = f"must be equal to {name} limit of {limit}"
        return [invalid(f"{path}.requests", value, text)]
    if not of(value) <= of(limit):
        text = f"must be less than or equal to {name} limit of {limit}"
        return [invalid(f"{path}.requests", value, text)]
    return []


def _claims(values: Collection[Obj], path: str, known: Collection[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(values):
        name, where = claim.get("name", ""), f"{path}[{index}]"
        if name:
            errors += _claim(name, claim.get("request", ""), where, seen)
        else:
            errors.append(required(where))
        if not name or name not in known:
            listed = ", ".join(sorted(known))
            text = "must be one of the names in pod.spec.resourceClaims"
            text += f": {listed}" if listed else " which is empty"
            errors.append(FieldError("FieldValueNotFound", where, name, text))
    return errors


def _claim(name: str, request: str, path: str, seen: set[str]) -> list[FieldError]:
    """A claim is named whole or by its requests, each once. seen: claims, and claim/request."""
    if name in seen:
        return [duplicate(path, name)]
    errors = each(f"{path}.request", request, names.dns_label(request)) if request else []
    key = f"{name}/{request}" if request else name
    if key in seen:
        errors.append(duplicate(path, key))
    elif not request:
        parts = [s for s in seen if s.startswith(f"{name}/")]
        errors += [duplicate(path, name) for _ in parts]
    seen.add(key)
    return errors
