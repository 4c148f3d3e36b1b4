"""What a resize may change of a pod: cpu and memory of its containers, not its quality of service.

Upstream: pkg/registry/core/pod/strategy.go (dropNonResizeUpdates),
pkg/apis/core/validation/validation.go (ValidatePodResize).
"""

from collections.abc import Iterator
from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj, annotations_of, at
from tiphys.apiserver.resources.core.pod import qos_class

MIRROR: Final = "kubernetes.io/config.mirror"
_RESIZABLE: Final = ("cpu", "memory")
_LISTS: Final = ("initContainers", "containers")
_OF_A_RESIZE: Final = ("resources", "resizePolicy")
_ONLY_THESE: Final = "only cpu and memory resources are mutable"


def resized(new: Obj, old: Obj) -> Obj:
    """The old pod with what a resize reads of the new one: resources and their policy.

    Another number of containers is left for validation to refuse.
    """
    given, before = new.get("spec") or {}, old["spec"]
    spec = {k: v for k, v in before.items() if k != "resources"}
    for field in _LISTS:
        containers, then = given.get(field) or [], before.get(field) or []
        if len(containers) != len(then):
            return old | {"metadata": dict(old["metadata"]), "spec": given}
        if then:
            spec[field] = _containers(containers, then)
    if given.get("resources") is not None:
        spec["resources"] = given["resources"]
    return old | {"metadata": dict(old["metadata"]), "spec": spec}


def _containers(new: list[Obj], old: list[Obj]) -> list[Obj]:
    if [c.get("name") for c in new] != [c.get("name") for c in old]:
        return new  # Refused by validation.
    return [
        {k: v for k, v in then.items() if k not in _OF_A_RESIZE}
        | {field: now[field] for field in _OF_A_RESIZE if field in now}
        for now, then in zip(new, old, strict=True)
    ]


def validate_resize(new: Obj, old: Obj) -> list[FieldError]:
    if MIRROR in annotations_of(old):
        return [forbidden("", "static pods cannot be resized")]
    if at(old, "spec", "os", "name") == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    errors: list[FieldError] = []
    quality = at(old, "status", "qosClass", default=qos_class(old["spec"]))
    if qos_class(new["spec"]) != quality:
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", quality, text))
    if not _is_supported(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    errors += _pod_level(new["spec"], old["spec"])
    order = _order(new["spec"], old["spec"])
    if order:
        return errors + order
    return [*errors, *_removed_of_containers(new, old), *_fixed_of_containers(new, old)]


def _is_supported(pod: Obj) -> bool:
    """A kubelet that resizes says what its running containers have."""
    for status in at(pod, "status", "containerStatuses", default=()):
        if at(status, "state", "running") is not None:
            return "resources" in status
    return True


def _pod_level(spec: Obj, before: Obj) -> list[FieldError]:
    now, then = spec.get("resources"), before.get("resources")
    if not any((r or {}).get(kind) for r in (now, then) for kind in ("requests", "limits")):
        return []
    if now is None:
        return [forbidden("spec.resources", "pod-level resources cannot be removed")]
    errors = [
        forbidden(f"spec.resources.{kind}", f"pod-level resource {kind} cannot be removed")
        for kind in ("requests", "limits")
        if then is not None and _is_removed(now, then, kind)
    ]
    if _fixed(now) != _fixed(then or {}):
        errors.append(forbidden("spec", f"{_ONLY_THESE} at pod-level"))
    return errors


def _order(spec: Obj, before: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in reversed(_LISTS):
        names, then = ([c.get("name") for c in s.get(field) or ()] for s in (spec, before))
        if len(names) != len(then):
            text = f"{field} may not be added or removed on resize"
            errors.append(forbidden(f"spec.{field}", text))
            continue
        text = f"{field} may not be renamed or reordered on resize"
        errors += [
            forbidden(f"spec.{field}[{index}].name", text)
            for index, name in enumerate(names)
            if name != then[index]
        ]
    return errors


def _pairs(new: Obj, old: Obj, field: str) -> Iterator[tuple[Obj, Obj, str]]:
    """Each container as it is and as it was, and where it is."""
    now, then = new["spec"].get(field) or [], old["spec"].get(field) or []
    for index, (container, before) in enumerate(zip(now, then, strict=True)):
        yield container, before, f"spec.{field}[{index}]"


def _removed_of_containers(new: Obj, old: Obj) -> Iterator[FieldError]:
    for field in _LISTS:
        for now, then, path in _pairs(new, old, field):
            resources, before = now.get("resources") or {}, then.get("resources") or {}
            for kind in ("requests", "limits"):
                if _is_removed(resources, before, kind):
                    text = f"resource {kind} cannot be removed"
                    yield forbidden(f"{path}.resources.{kind}", text)


def _fixed_of_containers(new: Obj, old: Obj) -> Iterator[FieldError]:
    for now, then, _ in _pairs(new, old, "containers"):
        if _is_else_changed(now, then):
            yield forbidden("spec", _ONLY_THESE)
    for now, then, path in _pairs(new, old, "initContainers"):
        if _is_else_changed(now, then):
            text = "only cpu and memory resources for init or sidecar containers are mutable"
            yield forbidden(path, text)
        if now != then and now.get("restartPolicy") != "Always":
            text = (
                "non-sidecar init containers with a resize policy of RestartContainer cannot be"
                " resized"
            )
            for policy in now.get("resizePolicy") or ():
                if policy.get("restartPolicy") == "RestartContainer":
                    yield forbidden(path, text)


def _is_removed(now: Obj, then: Obj, kind: str) -> bool:
    return not (then.get(kind) or {}).keys() <= (now.get(kind) or {}).keys()


def _is_else_changed(now: Obj, then: Obj) -> bool:
    """Claims count as changed even when they stay: upstream takes no resize of such a pod."""
    resources, before = now.get("resources") or {}, then.get("resources") or {}
    rest, rest_before = ({k: v for k, v in c.items() if k != "resources"} for c in (now, then))
    if rest != rest_before or before.get("claims"):
        return True
    return _amounts(resources) != _amounts(before)


def _amounts(resources: Obj) -> Obj:
    """What a resize may not change of them."""
    found = {
        kind: {k: v for k, v in (resources.get(kind) or {}).items() if k not in _RESIZABLE}
        for kind in ("limits", "requests")
    }
    return {kind: amounts for kind, amounts in found.items() if amounts}


def _fixed(resources: Obj) -> Obj:
    """Resources of a pod without what a resize may change."""
    rest: dict[str, Any] = {k: v for k, v in resources.items() if k not in {"limits", "requests"}}
    return rest | _amounts(resources)
