"""Ephemeral containers are only ever added.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodEphemeralContainersUpdate).
"""

from tiphys.api.field_errors import FieldError, forbidden
from tiphys.api.meta import Obj, annotations_of, at
from tiphys.apiserver.resources.core.pod_resize_rules import MIRROR
from tiphys.apiserver.resources.rules.go_diff import go_diff


def ephemeral_errors(new: Obj, old: Obj) -> list[FieldError]:
    if MIRROR in annotations_of(old):
        return [forbidden("", "static pods do not support ephemeral containers")]
    now = {c.get("name"): c for c in at(new, "spec", "ephemeralContainers", default=[])}
    errors: list[FieldError] = []
    for container in at(old, "spec", "ephemeralContainers", default=[]):
        name = container.get("name")
        if now.get(name) == container:
            continue
        text = f'existing ephemeral containers "{name}" may not be'
        if name in now:
            difference = go_diff(container, now[name], "core.v1.EphemeralContainer")
            text = f"{text} changed\n{difference}"
        else:
            text = f"{text} removed\n"
        errors.append(forbidden("spec.ephemeralContainers", text))
    return errors
