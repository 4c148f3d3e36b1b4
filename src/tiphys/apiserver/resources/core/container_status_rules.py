"""What a pod's status may say of its containers: whether one comes back, its user, its devices.

Upstream: pkg/apis/core/validation/validation.go (ValidateContainerStateTransition,
validateContainerStatusUsers, validateContainerStatusAllocatedResourcesStatus), pkg/api/v1/pod
(ContainerShouldRestart, AllContainersCouldRestart).
"""

from collections.abc import Iterator, Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.rules.texts import each

_CLAIM: Final = "claim:"
_HEALTH: Final = ("Healthy", "Unhealthy", "Unknown")
_MESSAGE_BYTES_MAX: Final = 1024
# Field of the status -> of the spec.
_LISTS: Final = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}


def container_statuses(
    status: Obj, before: Obj, spec: Obj
) -> tuple[list[FieldError], list[FieldError]]:
    """Of ended containers that seem to run again; of everything else."""
    moves: list[FieldError] = []
    rest: list[FieldError] = []
    all_restart = _restarts_all(spec)
    for field, kind in _LISTS.items():
        if kind == "ephemeralContainers" or not all_restart:
            moves += _moves(status, before, field, _restarting(spec, kind))
    windows = at(spec, "os", "name") == "windows"
    for field in _LISTS:
        for index, one in enumerate(status.get(field) or ()):
            rest += _user(one.get("user") or {}, f"status.{field}[{index}].user", windows=windows)
    for field, kind in _LISTS.items():
        for index, one in enumerate(status.get(field) or ()):
            if one.get("allocatedResourcesStatus"):
                rest += _allocated(one, spec, kind, f"status.{field}[{index}]")
    return moves, rest


def _restarts_all(spec: Obj) -> bool:
    return any(
        rule.get("action") == "RestartAllContainers"
        for kind in ("initContainers", "containers")
        for container in spec.get(kind) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def _restarting(spec: Obj, kind: str) -> dict[str, tuple[Obj, str]]:
    """Containers that may come back, by name, and the pod's policy. Ephemeral ones never do."""
    if kind == "ephemeralContainers":
        return {}
    policy = spec.get("restartPolicy", "Always")
    return {c.get("name", ""): (c, policy) for c in spec.get(kind) or ()}


def _moves(
    status: Obj, before: Obj, field: str, known: dict[str, tuple[Obj, str]]
) -> Iterator[FieldError]:
    for index, old in enumerate(before.get(field) or ()):
        ended = at(old, "state", "terminated")
        if ended is None:
            continue
        name = old.get("name", "")
        found = (s for s in status.get(field) or () if s.get("name", "") == name)
        new = next((s for s in found if at(s, "state", "terminated") is None), None)
        if new is None:
            continue
        container, policy = known.get(name, (None, ""))
        if container is None or not _comes_back(container, policy, ended.get("exitCode", 0)):
            text = "may not be transitioned to non-terminated state"
            yield forbidden(f"status.{field}[{index}].state", text)


def _comes_back(container: Obj, policy: str, code: int) -> bool:
    own = container.get("restartPolicy")
    rules = container.get("restartPolicyRules") or () if own else ()
    if any(_matches(rule.get("exitCodes") or {}, code) for rule in rules):
        return True
    wanted = own or policy
    return wanted == "Always" or (wanted == "OnFailure" and code != 0)


def _matches(codes: Obj, code: int) -> bool:
    is_in = code in (codes.get("values") or ())
    match codes.get("operator"):
        case "In":
            return is_in
        case "NotIn":
            return not is_in
    return False


def _user(user: Obj, path: str, *, windows: bool) -> list[FieldError]:
    linux = user.get("linux")
    if linux is None:
        return []
    if windows:
        return [forbidden(f"{path}.linux", "cannot be set for a windows pod")]
    errors: list[FieldError] = []
    for field in ("uid", "gid"):
        value = linux.get(field, 0)
        errors += each(f"{path}.linux.{field}", value, names.user_or_group_id(value))
    for index, group in enumerate(linux.get("supplementalGroups") or ()):
        where = f"{path}.linux.supplementalGroups[{index}]"
        errors += each(where, group, names.user_or_group_id(group))
    return errors


def _allocated(status: Obj, spec: Obj, kind: str, path: str) -> list[FieldError]:
    """How devices that the container was given are."""
    above = f"{path}.allocatedResourcesStatus"
    if kind == "ephemeralContainers":
        return [forbidden(above, "must not be specified in container status")]
    name = status.get("name", "")
    container = next((c for c in spec.get(kind) or () if c.get("name", "") == name), None)
    errors: list[FieldError] = []
    for index, resource in enumerate(status["allocatedResourcesStatus"]):
        where = f"{above}[{index}]"
        if container is not None:
            errors += _is_asked_for(resource.get("name", ""), container, f"{where}.name")
        errors += _health(resource.get("resources") or (), f"{where}.resources")
    return errors


def _is_asked_for(name: str, container: Obj, path: str) -> list[FieldError]:
    resources = container.get("resources") or {}
    if not name.startswith(_CLAIM):
        known = set(resources.get("requests") or ())
        text = "must match one of the container's resource requests"
    else:
        known = {_claim_name(claim) for claim in resources.get("claims") or ()}
        text = (
            "must match one of the container's resource claims in a format "
            "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
        )
    return [] if name in known else [invalid(path, name, text)]


def _claim_name(claim: Obj) -> str:
    request = claim.get("request", "")
    return f"{_CLAIM}{claim.get('name', '')}" + (f"/{request}" if request else "")


def _health(resources: Sequence[Obj], path: str) -> list[FieldError]:
    seen: set[str] = set()
    errors: list[FieldError] = []
    for index, one in enumerate(resources):
        where, health, message = f"{path}[{index}]", one.get("health", ""), one.get("message")
        if health not in _HEALTH:
            errors.append(not_supported(f"{where}.health", health, _HEALTH))
        if message == "":
            errors.append(required(f"{where}.message", "must be non-empty if specified"))
        elif message is not None and len(message.encode()) > _MESSAGE_BYTES_MAX:
            errors.append(too_long(f"{where}.message", _MESSAGE_BYTES_MAX))
        device = one.get("resourceID", "")
        if device in seen:
            errors.append(duplicate(f"{where}.resourceID", device))
        seen.add(device)
    return errors
