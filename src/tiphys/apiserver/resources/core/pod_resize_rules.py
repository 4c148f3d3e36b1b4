"""What a resize may change of a pod: cpu and memory of its containers, not its quality of service.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodResize).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.core.pod import qos_class

_RESIZABLE: Final = ("cpu", "memory")


def resized(new: Obj, old: Obj) -> Obj:
    """The old pod with what a resize reads of the new one: resources and their policy."""
    given = {c.get("name"): c for c in at(new, "spec", "containers", default=[])}
    before = old["spec"].get("containers") or []
    if given.keys() != {c["name"] for c in before}:
        containers = at(new, "spec", "containers", default=[])  # Refused by validation.
    else:
        containers = [_container(given[c["name"]], c) for c in before]
    spec = old["spec"] | {"containers": containers}
    if (wanted := at(new, "spec", "resources")) is not None:
        spec["resources"] = wanted
    return old | {"metadata": dict(old["metadata"]), "spec": spec}


def _container(new: Obj, old: Obj) -> Obj:
    return old | {f: new[f] for f in ("resources", "resizePolicy") if new.get(f) is not None}


def validate_resize(new: Obj, old: Obj) -> list[FieldError]:
    containers, before = new["spec"].get("containers") or [], old["spec"].get("containers") or []
    if [c.get("name") for c in containers] != [c.get("name") for c in before]:
        text = "containers may not be added or removed on resize"
        return [forbidden("spec.containers", text)]
    errors: list[FieldError] = []
    quality = at(old, "status", "qosClass", default=qos_class(old["spec"]))
    if qos_class(new["spec"]) != quality:
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", quality, text))
    for index, (now, then) in enumerate(zip(containers, before, strict=True)):
        errors += _removed(now, then, f"spec.containers[{index}].resources")
    if [_fixed(c) for c in containers] != [_fixed(c) for c in before]:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return errors


def _removed(new: Obj, old: Obj, path: str) -> list[FieldError]:
    return [
        forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed")
        for kind in ("limits", "requests")
        if any(
            name in at(old, "resources", kind, default={})
            and name not in at(new, "resources", kind, default={})
            for name in _RESIZABLE
        )
    ]


def _fixed(container: Obj) -> Obj:
    """A container without what a resize may change."""
    resources = dict(container.get("resources") or {})
    for kind in ("limits", "requests"):
        kept = {k: v for k, v in (resources.pop(kind, None) or {}).items() if k not in _RESIZABLE}
        if kept:
            resources[kind] = kept
    return container | {"resources": resources}
