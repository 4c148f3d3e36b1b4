"""References to a pod's own fields and resources, from variables and files.

Upstream: pkg/apis/core/validation/validation.go, pkg/apis/core/pods/helpers.go, pkg/fieldpath.
"""

import re
from collections.abc import Collection
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules.texts import each

ENV_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
FILE_FIELDS: Final = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
    "metadata.uid",
)  # fmt: skip
_KNOWN: Final = frozenset(
    {
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
        "metadata.uid", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName",
        "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP",
        "status.podIPs", "spec.host",
    }
)  # fmt: skip
_SUBSCRIPT: Final = re.compile(r"(.+?)\['(.*)'\]", re.DOTALL)
RESOURCES: Final = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
    "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_DIVISORS: Final = {
    "cpu": ("1m", "1"),
    "memory": ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"),
}


def field_ref(ref: Obj, path: str, valid: Collection[str]) -> list[FieldError]:
    version, label = ref.get("apiVersion", ""), ref.get("fieldPath", "")
    if not version:
        return [required(f"{path}.apiVersion")]
    if not label:
        return [required(f"{path}.fieldPath")]
    if version != "v1":
        why = f"error converting fieldPath: unsupported pod version: {version}"
        return [invalid(f"{path}.fieldPath", label, why)]
    match = _SUBSCRIPT.fullmatch(label)
    name = match[1] if match else label
    if name not in _KNOWN or (match and name not in {"metadata.annotations", "metadata.labels"}):
        why = f"error converting fieldPath: field label not supported: {label}"
        if match:
            why = f"error converting fieldPath: field label does not support subscript: {label}"
        return [invalid(f"{path}.fieldPath", label, why)]
    if match:
        key = match[2].lower() if name == "metadata.annotations" else match[2]
        return each(path, key, names.qualified_name(key))
    if name == "spec.host":
        name = "spec.nodeName"
    return [] if name in valid else [not_supported(f"{path}.fieldPath", name, sorted(valid))]


def resource_ref(ref: Obj, path: str, *, of_file: bool) -> list[FieldError]:
    resource = ref.get("resource", "")
    errors: list[FieldError] = []
    if of_file and not ref.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not resource:
        errors.append(required(f"{path}.resource"))
    elif resource not in RESOURCES and not resource.startswith(
        ("limits.hugepages-", "requests.hugepages-")
    ):
        errors.append(not_supported(f"{path}.resource", resource, RESOURCES))
    return errors + _divisor(resource, ref.get("divisor") or "0", path)


def _divisor(resource: str, divisor: str, path: str) -> list[FieldError]:
    kind = resource.partition(".")[2]
    if of(divisor).nanos == 0:
        return []
    where = f"{path}.divisor"
    if kind == "cpu":
        if divisor in _DIVISORS["cpu"]:
            return []
        text = "only divisor's values 1m and 1 are supported with the cpu resource"
        return [invalid(where, resource, text)]
    name = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(
        kind, "hugepages" if kind.startswith("hugepages-") else ""
    )
    if not name or divisor in _DIVISORS["memory"]:
        return []
    text = (
        "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
        f"supported with the {name} resource"
    )
    return [invalid(where, resource, text)]
