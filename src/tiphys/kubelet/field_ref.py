"""What a pod's fieldRef and resourceFieldRef stand for.

Upstream: pkg/fieldpath/fieldpath.go, pkg/api/v1/resource/helpers.go.
"""

import re
from typing import Final

from tiphys.api.meta import Obj, annotations_of, at, labels_of, name_of, namespace_of, uid_of
from tiphys.kubelet import quantities
from tiphys.kubelet.pod_spec import find_container

_SUBSCRIPT: Final = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]$")


class FieldRefError(Exception):
    """A reference to a field that there is not."""


def field_value(pod: Obj, path: str) -> str:
    """Raises FieldRefError."""
    if found := _SUBSCRIPT.match(path):
        which, key = found.groups()
        return (labels_of(pod) if which == "labels" else annotations_of(pod)).get(key, "")
    if path == "metadata.labels":
        return _lines(labels_of(pod))
    if path == "metadata.annotations":
        return _lines(annotations_of(pod))
    plain = {
        "metadata.name": name_of,
        "metadata.namespace": namespace_of,
        "metadata.uid": uid_of,
    }
    if path in plain:
        return plain[path](pod)
    if path in ("spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.podIP"):
        return str(at(pod, *path.split("."), default=""))
    if path in ("status.podIPs", "status.hostIPs"):
        return ",".join(e["ip"] for e in at(pod, *path.split("."), default=[]))
    raise FieldRefError(f"unsupported fieldPath: {path}")


def _lines(values: dict[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(values[key])}" for key in sorted(values))


def _quoted(text: str) -> str:
    """As Go's %q, for the characters that labels and annotations have."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


def resource_value(pod: Obj, container: Obj, reference: Obj, allocatable: dict[str, str]) -> str:
    """A container's own limit or request; the node's allocatable where it has no limit.

    Raises FieldRefError.
    """
    name = reference.get("containerName")
    if name and name != container.get("name"):
        found = find_container(pod, name)
        if found is None:
            raise FieldRefError(f"container {name} not found")
        container = found[1]
    which, _, resource = reference["resource"].partition(".")
    if which not in ("limits", "requests"):
        raise FieldRefError(f"unsupported container resource : {reference['resource']}")
    amount = at(container, "resources", which, resource)
    if amount is None and which == "limits":
        amount = allocatable.get(resource)
    divisor = str(reference.get("divisor") or "1")
    return str(quantities.divided(amount or "0", "1" if divisor == "0" else divisor))
