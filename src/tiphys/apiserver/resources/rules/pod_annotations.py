"""Annotations of pods that mean something: mirrors, costs of deletion, old names of profiles.

Upstream: pkg/apis/core/validation/validation.go (ValidatePodSpecificAnnotations,
ValidatePodSpecificAnnotationUpdates, validateSeccompAnnotationsAndFields,
validateAppArmorAnnotationsAndFieldsMatchOnCreate), core/helper (GetDeletionCostFromPodAnnotations).
"""

import re
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, go_quoted, invalid
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.rules.paths import local_descending
from tiphys.apiserver.resources.rules.pod_os import containers_with_paths

MIRROR: Final = "kubernetes.io/config.mirror"
_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_SECCOMP_OF_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_LOCALHOST: Final = "localhost/"
_SECCOMP_NAMES: Final = frozenset({"runtime/default", "docker/default", "unconfined"})
_APP_ARMOR_NAMES: Final = frozenset({"", "runtime/default", "unconfined"})
_INTEGER: Final = re.compile("(-0*|(?!0.))([0-9]{1,10})")  # Leading zeros only behind a minus.
# Type of a profile's field -> what the annotation may say beside it.
_SAME_SECCOMP: Final = {
    "Unconfined": frozenset({"unconfined"}),
    "RuntimeDefault": frozenset({"runtime/default", "docker/default"}),
}
_SAME_APP_ARMOR: Final = {
    "Unconfined": frozenset({"unconfined"}),
    "RuntimeDefault": frozenset({"runtime/default"}),
}


def pod_annotations(notes: dict[str, str], spec: Obj, path: str) -> list[FieldError]:
    """path is that of the annotations."""
    errors: list[FieldError] = []
    if MIRROR in notes and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"{path}[{MIRROR}]", notes[MIRROR], text))
    if not _is_cost(notes.get(_DELETION_COST, "0")):
        value = notes[_DELETION_COST]
        errors.append(invalid(f"{path}[{_DELETION_COST}]", value, "must be a 32bit integer"))
    for key in sorted(notes, key=lambda k: (k != _SECCOMP_OF_POD, k)):
        if key == _SECCOMP_OF_POD or key.startswith(_SECCOMP):
            errors += _seccomp_name(notes[key], f"{path}.{key}")
    for key in sorted(k for k in notes if k.startswith(_APP_ARMOR)):
        errors += _app_armor_name(key, notes[key], spec, f"{path}[{key}]")
    return errors


def _is_cost(text: str) -> bool:
    match = _INTEGER.fullmatch(text)
    return match is not None and -(2**31) <= int(f"{match[1][:1]}{match[2]}") < 2**31


def _seccomp_name(name: str, path: str) -> list[FieldError]:
    if name in _SECCOMP_NAMES:
        return []
    if name.startswith(_LOCALHOST):
        return local_descending(name.removeprefix(_LOCALHOST), path)
    return [invalid(path, name, "must be a valid seccomp profile")]


def _app_armor_name(key: str, name: str, spec: Obj, path: str) -> list[FieldError]:
    container = key.removeprefix(_APP_ARMOR)
    errors: list[FieldError] = []
    if all(c.get("name", "") != container for c, _ in containers_with_paths(spec, "")):
        errors.append(invalid(path, container, "container not found"))
    if name not in _APP_ARMOR_NAMES and not name.startswith(_LOCALHOST):
        text = f"invalid AppArmor profile name: {go_quoted(name)}"
        errors.append(invalid(path, name, text))
    return errors


def annotated_profiles(notes: dict[str, str], spec: Obj, path: str) -> list[FieldError]:
    """Fields and annotations of a new pod say the same; path is that of the spec."""
    errors: list[FieldError] = []
    profile = at(spec, "securityContext", "seccompProfile")
    note = notes.get(_SECCOMP_OF_POD)
    where = f"{path}.securityContext.seccompProfile"
    errors += _same(profile, note, where, "seccomp", _SAME_SECCOMP)
    for container, above in containers_with_paths(spec, path):
        profile = at(container, "securityContext", "seccompProfile")
        note = notes.get(f"{_SECCOMP}{container.get('name', '')}")
        where = f"{above}.securityContext.seccompProfile"
        errors += _same(profile, note, where, "seccomp", _SAME_SECCOMP)
    if at(spec, "os", "name") == "windows":
        return errors
    of_pod = at(spec, "securityContext", "appArmorProfile")
    for container, above in containers_with_paths(spec, path):
        profile = at(container, "securityContext", "appArmorProfile") or of_pod
        note = notes.get(f"{_APP_ARMOR}{container.get('name', '')}")
        where = f"{above}.securityContext.appArmorProfile"
        errors += _same(profile, note, where, "apparmor", _SAME_APP_ARMOR)
    return errors


def _same(
    profile: Obj | None, note: str | None, path: str, what: str, names: dict[str, frozenset[str]]
) -> list[FieldError]:
    if profile is None or note is None:
        return []
    kind = profile.get("type", "")
    is_local = kind == "Localhost"
    if (kind in names and note not in names[kind]) or (
        is_local and not note.startswith(_LOCALHOST)
    ):
        return [forbidden(f"{path}.type", f"{what} type in annotation and field must match")]
    if is_local and note.removeprefix(_LOCALHOST) != profile.get("localhostProfile"):
        text = f"{what} profile in annotation and field must match"
        return [forbidden(f"{path}.localhostProfile", text)]
    return []


def changed_annotations(new: Obj, old: Obj) -> list[FieldError]:
    """Of an update of a pod: what says how it runs, and that it is a mirror, stays."""
    now, then = (o["metadata"].get("annotations") or {} for o in (new, old))
    path = "metadata.annotations"
    errors = [
        forbidden(f"{path}[{key}]", f"may not remove or update {what}")
        for key in sorted(then)
        if now.get(key) != then[key] and (what := _what_stays(key))
    ]
    errors += [
        forbidden(f"{path}[{key}]", f"may not add {what}")
        for key in sorted(now.keys() - then.keys())
        if (what := _what_stays(key))
    ]
    return errors + pod_annotations(now, new.get("spec") or {}, path)


def _what_stays(key: str) -> str:
    if key.startswith(_APP_ARMOR):
        return "AppArmor annotations"
    return "mirror pod annotation" if key == MIRROR else ""
