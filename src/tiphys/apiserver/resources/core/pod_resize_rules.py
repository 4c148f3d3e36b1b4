"""What a resize may change of a pod: cpu and memory of its containers, not its quality of service.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodResize), pkg/registry/core/pod
(dropNonResizeUpdates).
"""

from collections.abc import Iterator
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.core.pod import qos_class
from tiphys.apiserver.resources.rules.pod_annotations import MIRROR
from tiphys.apiserver.resources.rules.semantic import semantically_equal

_RESIZABLE: Final = ("cpu", "memory")
_AMOUNTS: Final = ("requests", "limits")
_READ: Final = ("resources", "resizePolicy")
_LISTS: Final = ("initContainers", "containers")


def resized(new: Obj, old: Obj) -> Obj:
    """The old pod with what a resize reads of the new one: resources and their policy."""
    given, before = new.get("spec") or {}, old["spec"]
    spec = {k: v for k, v in before.items() if k != "resources"}
    if given.get("resources") is not None:
        spec["resources"] = given["resources"]
    same_length = all(len(given.get(f) or ()) == len(before.get(f) or ()) for f in _LISTS)
    for field in _LISTS:
        containers = given.get(field) or []
        if same_length:
            containers = _merged(containers, before.get(field) or [])
        if containers or field in spec:
            spec[field] = containers
    return old | {"metadata": dict(old["metadata"]), "spec": spec}


def _merged(new: list[Obj], old: list[Obj]) -> list[Obj]:
    if [c.get("name") for c in new] != [c.get("name") for c in old]:
        return new  # Refused by validation.
    return [
        {k: v for k, v in then.items() if k not in _READ}
        | {f: now[f] for f in _READ if now.get(f) is not None}
        for now, then in zip(new, old, strict=True)
    ]


def validate_resize(new: Obj, old: Obj) -> list[FieldError]:
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods cannot be resized")]
    spec, before = new["spec"], old["spec"]
    if at(before, "os", "name") == "windows":
        return [forbidden("[]", "windows pods cannot be resized")]
    errors: list[FieldError] = []
    quality = at(old, "status", "qosClass", default=qos_class(before))
    if qos_class(spec) != quality:
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", quality, text))
    if not _is_supported(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    errors += _pod_level(spec.get("resources"), before.get("resources"))
    moved = _moved(spec, before, "containers") + _moved(spec, before, "initContainers")
    if moved:
        return [*errors, *moved]
    for field in _LISTS:
        for index, (now, then) in enumerate(_pairs(spec, before, field)):
            errors += _removed(now, then, f"spec.{field}[{index}].resources")
    text = "only cpu and memory resources are mutable"
    pairs = _pairs(spec, before, "containers")
    errors += [forbidden("spec", text) for now, then in pairs if not _is_resize(now, then)]
    return errors + list(_init_containers(spec, before))


def _is_supported(pod: Obj) -> bool:
    """A node that can resize tells of the resources of the containers that run on it."""
    running = (
        status
        for status in at(pod, "status", "containerStatuses", default=[])
        if at(status, "state", "running") is not None
    )
    first = next(running, None)
    return first is None or first.get("resources") is not None


def _pairs(spec: Obj, before: Obj, field: str) -> list[tuple[Obj, Obj]]:
    return list(zip(spec.get(field) or (), before.get(field) or (), strict=True))


def _moved(spec: Obj, before: Obj, field: str) -> list[FieldError]:
    now, then = ([c.get("name", "") for c in s.get(field) or ()] for s in (spec, before))
    if len(now) != len(then):
        return [forbidden(f"spec.{field}", f"{field} may not be added or removed on resize")]
    text = f"{field} may not be renamed or reordered on resize"
    return [
        forbidden(f"spec.{field}[{index}].name", text)
        for index, names in enumerate(zip(now, then, strict=True))
        if names[0] != names[1]
    ]


def _removed(new: Obj, old: Obj, path: str) -> list[FieldError]:
    """Nothing that was asked for is given up: an amount may only change."""
    errors: list[FieldError] = []
    for kind in _AMOUNTS:
        now, then = (at(c, "resources", kind, default={}) for c in (new, old))
        if then.keys() - now.keys():
            errors.append(forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed"))
    return errors


def _kept(new: Obj, old: Obj) -> Obj:
    """Requests and limits with the old cpu and memory."""
    found: Obj = {}
    for kind in _AMOUNTS:
        now, then = new.get(kind) or {}, old.get(kind) or {}
        kept = {k: v for k, v in now.items() if k not in _RESIZABLE}
        kept |= {k: v for k, v in then.items() if k in _RESIZABLE}
        if kept:
            found[kind] = kept
    return found


def _is_resize(new: Obj, old: Obj) -> bool:
    """Whether nothing else differs. Upstream forgets claims here, of the new container only."""
    resources = old.get("resources") or {}
    kept = _kept(new.get("resources") or {}, resources)
    return semantically_equal(new | {"resources": kept}, old | {"resources": resources})


def _init_containers(spec: Obj, before: Obj) -> Iterator[FieldError]:
    for index, (now, then) in enumerate(_pairs(spec, before, "initContainers")):
        path = f"spec.initContainers[{index}]"
        if not _is_resize(now, then):
            text = "only cpu and memory resources for init or sidecar containers are mutable"
            yield forbidden(path, text)
        if semantically_equal(now, then) or now.get("restartPolicy") == "Always":
            continue
        for policy in now.get("resizePolicy") or ():
            if policy.get("restartPolicy") == "RestartContainer":
                text = (
                    "non-sidecar init containers with a resize policy of RestartContainer cannot "
                    "be resized"
                )
                yield forbidden(path, text)


def _pod_level(new: Obj | None, old: Obj | None) -> list[FieldError]:
    if not _says_anything(new) and not _says_anything(old):
        return []
    path = "spec.resources"
    if new is None:
        return [forbidden(path, "pod-level resources cannot be removed")]
    errors: list[FieldError] = []
    for kind in _AMOUNTS:
        if at(old, kind, default={}).keys() - at(new, kind, default={}).keys():
            text = f"pod-level resource {kind} cannot be removed"
            errors.append(forbidden(f"{path}.{kind}", text))
    claims = {k: v for k, v in new.items() if k == "claims"}
    if not semantically_equal(_kept(new, old or {}) | claims, old or {}):
        text = "only cpu and memory resources are mutable at pod-level"
        errors.append(forbidden("spec", text))
    return errors


def _says_anything(resources: Obj | None) -> bool:
    return any((resources or {}).get(kind) for kind in _AMOUNTS)
