"""What a pod may say given its operating system, and pods of Windows' host processes.

Upstream: pkg/apis/core/validation/validation.go (validateOS, validateLinux, validateWindows,
validateWindowsHostProcessPod).
"""

from collections.abc import Iterator
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj, at

_SYSTEMS: Final = ("linux", "windows")
_CONTAINER_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")
_OPTIONS: Final = "windowsOptions"
_HOST_PROCESS: Final = "securityContext.windowsOptions.hostProcess"
# What has no meaning on Windows, in upstream's order; below the spec where there is no dot.
_NOT_OF_POD: Final = (
    "securityContext.appArmorProfile", "securityContext.seLinuxOptions", "hostUsers", "hostPID",
    "hostIPC", "securityContext.seccompProfile", "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy", "securityContext.sysctls", "shareProcessNamespace",
    "securityContext.runAsUser", "securityContext.runAsGroup",
    "securityContext.supplementalGroups", "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
)  # fmt: skip
_WHEN_TRUE: Final = frozenset({"hostPID", "hostIPC"})
_NOT_OF_CONTAINER: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities",
    "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser",
    "runAsGroup",
)  # fmt: skip


def _all_containers(spec: Obj) -> Iterator[Obj]:
    for kind in _CONTAINER_KINDS:
        yield from spec.get(kind) or ()


def containers_with_paths(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    """All of a pod: init, plain, ephemeral. Source: pkg/apis/core/pods (VisitContainersWithPath)"""
    for kind in _CONTAINER_KINDS:
        for index, container in enumerate(spec.get(kind) or ()):
            yield container, f"{path}.{kind}[{index}]"


def pod_os(spec: Obj, path: str) -> list[FieldError]:
    if spec.get("os") is None:
        return []
    name = spec["os"].get("name", "")
    if not name:
        return [required(f"{path}.os.name")]
    if name not in _SYSTEMS:
        return [not_supported(f"{path}.os", name, _SYSTEMS)]
    return list((_linux if name == "linux" else _windows)(spec, path))


def _contexts(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    for container, where in containers_with_paths(spec, path):
        yield container.get("securityContext") or {}, f"{where}.securityContext"


def _linux(spec: Obj, path: str) -> Iterator[FieldError]:
    text = "windows options cannot be set for a linux pod"
    if at(spec, "securityContext", _OPTIONS) is not None:
        yield forbidden(f"{path}.securityContext.{_OPTIONS}", text)
    for context, where in _contexts(spec, path):
        if context.get(_OPTIONS) is not None:
            yield forbidden(f"{where}.{_OPTIONS}", text)


def _windows(spec: Obj, path: str) -> Iterator[FieldError]:
    text = "cannot be set for a windows pod"
    for field in _NOT_OF_POD:
        value = at(spec, *field.split("."))
        if value or (value is not None and value != [] and field not in _WHEN_TRUE):
            yield forbidden(f"{path}.{field}", text)
    for context, where in _contexts(spec, path):
        for field in _NOT_OF_CONTAINER:
            if context.get(field) is not None:
                yield forbidden(f"{where}.{field}", text)


def host_process(spec: Obj, path: str) -> list[FieldError]:
    """A pod's containers are all host processes or none is. Few pods say anything of it."""
    of_pod = at(spec, "securityContext", _OPTIONS, "hostProcess")
    if of_pod is None and not any(c.get("securityContext") for c in _all_containers(spec)):
        return []
    errors: list[FieldError] = []
    found: list[bool] = []
    for container, where in containers_with_paths(spec, path):
        own = at(container, "securityContext", _OPTIONS, "hostProcess")
        if None not in {own, of_pod} and own != of_pod:
            said = "true" if of_pod else "false"
            text = f"pod hostProcess value must be identical if both are specified, was {said}"
            errors.append(invalid(f"{where}.{_HOST_PROCESS}", own, text))
        found.append(bool(of_pod if own is None else own))
    if not any(found):
        return errors
    if not all(found):
        text = (
            "If pod contains any hostProcess containers then all containers must be HostProcess "
            "containers"
        )
        errors.append(invalid(path, "", text))
    if not spec.get("hostNetwork"):
        text = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, text))
    return errors
