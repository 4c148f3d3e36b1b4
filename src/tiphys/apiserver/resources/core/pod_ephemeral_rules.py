"""Ephemeral containers of a pod that runs: they are added, and stay as they are.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodEphemeralContainersUpdate),
pkg/registry/core/pod/strategy.go (dropNonEphemeralContainerUpdates).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, go_quoted
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.core.pod_update_rules import annotated
from tiphys.apiserver.resources.rules.go_diff import go_diff
from tiphys.apiserver.resources.rules.pod_annotations import MIRROR, changed_annotations
from tiphys.apiserver.resources.rules.semantic import semantically_equal

_FIELD: Final = "ephemeralContainers"


def with_ephemeral(new: Obj, old: Obj) -> Obj:
    """The old pod with the ephemeral containers of the new one."""
    spec = {k: v for k, v in old["spec"].items() if k != _FIELD}
    if given := at(new, "spec", _FIELD):
        spec[_FIELD] = given
    return old | {"metadata": dict(old["metadata"]), "spec": spec}


def validate_ephemeral(new: Obj, old: Obj) -> list[FieldError]:
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods do not support ephemeral containers")]
    errors = changed_annotations(new, old) if annotated(new, old) else []
    now = {c.get("name", ""): c for c in at(new, "spec", _FIELD, default=[])}
    for container in at(old, "spec", _FIELD, default=[]):
        name = container.get("name", "")
        shown = f"existing ephemeral containers {go_quoted(name)} may not be"
        if name not in now:
            errors.append(forbidden(f"spec.{_FIELD}", f"{shown} removed\n"))
        elif not semantically_equal(now[name], container):
            difference = go_diff(container, now[name], "core.v1.EphemeralContainer")
            errors.append(forbidden(f"spec.{_FIELD}", f"{shown} changed\n{difference}"))
    return errors
