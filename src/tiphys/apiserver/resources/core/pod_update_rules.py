"""What may change in a pod's spec. Upstream: pkg/apis/core/validation (ValidatePodUpdate)."""

from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core import pod_gate_rules
from tiphys.apiserver.resources.rules.container import trimmed_image
from tiphys.apiserver.resources.rules.go_diff import go_diff
from tiphys.apiserver.resources.rules.pod_annotations import changed_annotations
from tiphys.apiserver.resources.rules.scheduling import tolerations
from tiphys.apiserver.resources.rules.semantic import semantically_equal

_SECONDS_MAX: Final = 2**31 - 1
_POD_SPEC: Final = "core.v1.PodSpec"
_UNCHANGEABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors = changed_annotations(new, old) if annotated(new, old) else []
    for kind in ("containers", "initContainers"):
        if len(spec.get(kind) or ()) != len(before.get(kind) or ()):
            text = "pod updates may not add or remove containers"
            return [*errors, forbidden(f"spec.{kind}", text)]
        errors += _images(spec.get(kind) or (), f"spec.{kind}")
    wrong = _deadline(spec, before)
    if wrong and spec.get("activeDeadlineSeconds") is not None:
        return [*errors, *wrong]
    errors += wrong
    errors += _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    errors += _gates(spec, before)
    if before.get("schedulingGates"):
        errors += pod_gate_rules.validate(spec, before)
    fixed = _fixed(spec, before)
    if fixed != before and not semantically_equal(fixed, before):
        errors.append(forbidden("spec", f"{_UNCHANGEABLE}\n{go_diff(before, fixed, _POD_SPEC)}"))
    return errors


def annotated(*pods: Obj) -> bool:
    return any(pod["metadata"].get("annotations") for pod in pods)


def _images(containers: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, container in enumerate(containers):
        where = f"{path}[{index}]"
        errors += [] if container.get("image") else [required(f"{where}.image")]
        errors += trimmed_image(container, where)
    return errors


def _is_one(spec: Obj) -> bool:
    return bool(spec.get("terminationGracePeriodSeconds") == 1)


def _deadline(spec: Obj, before: Obj) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    now, then = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if now is not None and not 0 <= now <= _SECONDS_MAX:
        return [invalid(path, now, names.range_text(0, _SECONDS_MAX))]
    if then is None or now == then:
        return []
    if now is None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    if now > then:
        return [invalid(path, now, "must be less than or equal to previous value")]
    return []


def _without_seconds(toleration: Obj) -> Obj:
    return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}


def _tolerations(now: Sequence[Obj], then: Sequence[Obj]) -> list[FieldError]:
    """Old ones stay; only how long they last may change."""
    kept = [_without_seconds(t) for t in now]
    if all(_without_seconds(t) in kept for t in then):
        return tolerations(now, "spec.tolerations")
    text = "existing toleration can not be modified except its tolerationSeconds"
    return [forbidden("spec.tolerations", text)]


def _gates(spec: Obj, before: Obj) -> list[FieldError]:
    known = {g.get("name") for g in before.get("schedulingGates") or ()}
    return [
        forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
        )
        for index, gate in enumerate(spec.get("schedulingGates") or ())
        if gate.get("name") not in known
    ]


def _fixed(spec: Obj, before: Obj) -> Obj:
    """The new spec with everything that may change as it was."""
    found = dict(spec)
    for kind in ("containers", "initContainers"):
        if kind in before and kind in spec:
            found[kind] = [
                new | {"image": old.get("image", "")}
                for new, old in zip(spec[kind], before[kind], strict=True)
            ]
    fields = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if before.get("terminationGracePeriodSeconds", 0) < 0 and _is_one(spec):
        fields.append("terminationGracePeriodSeconds")
    for field in fields:
        if field in before:
            found[field] = before[field]
        else:
            found.pop(field, None)
    return pod_gate_rules.fixed(found, before) if before.get("schedulingGates") else found
