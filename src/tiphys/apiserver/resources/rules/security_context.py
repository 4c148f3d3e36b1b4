"""Security contexts of pods and containers. Upstream: pkg/apis/core/validation/validation.go."""

import re
from typing import Any, Final

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
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.paths import local_descending
from tiphys.apiserver.resources.rules.pod_os import containers_with_paths
from tiphys.apiserver.resources.rules.texts import each
from tiphys.apiserver.resources.rules.windows_options import windows_options

_SYSCTL_MAX: Final = 253
_SYSCTL: Final = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
# Of a namespace of processes. Source: component-helpers node/util/sysctl/namespace.go.
_IPC: Final = frozenset(
    {
        "kernel.sem", "kernel.shm", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
        "kernel.shm_rmid_forced", "kernel.msg", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
    }
)  # fmt: skip
_PROFILE_PATH_MAX: Final = 4095
_SECCOMP: Final = ("Localhost", "RuntimeDefault", "Unconfined")


def pod_context(context: Obj | None, spec: Obj, path: str) -> list[FieldError]:
    if context is None:
        return []
    errors: list[FieldError] = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        errors += _id(context, field, path)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        where = f"{path}.supplementalGroups[{index}]"
        errors += each(where, group, names.user_or_group_id(group))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, text))
    errors += _sysctls(context.get("sysctls") or (), spec, f"{path}.sysctls")
    errors += _enum(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path)
    errors += seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    errors += windows_options(context.get("windowsOptions"), f"{path}.windowsOptions")
    errors += app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")
    errors += _enum(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path)
    return errors + _enum(context, "seLinuxChangePolicy", ("Recursive",), path)


def _id(context: Obj, field: str, path: str) -> list[FieldError]:
    value = context.get(field)
    return [] if value is None else each(f"{path}.{field}", value, names.user_or_group_id(value))


def _enum(context: Obj, field: str, valid: tuple[str, ...], path: str) -> list[FieldError]:
    value = context.get(field)
    if value is None or value in valid:
        return []
    return [not_supported(f"{path}.{field}", value, valid)]


def _sysctls(values: Any, spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, sysctl in enumerate(values):
        name, where = sysctl.get("name", ""), f"{path}[{index}].name"
        if not name:
            errors.append(required(where))
        elif len(name) > _SYSCTL_MAX or not re.fullmatch(_SYSCTL, name):
            text = f"must have at most {_SYSCTL_MAX} characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(where, name, text))
        elif name in seen:
            errors.append(duplicate(where, name))
        errors += _host_sysctl(name, spec, where)
        seen.add(name)
    return errors


def _host_sysctl(name: str, spec: Obj, path: str) -> list[FieldError]:
    dotted = name.replace("/", ".").partition("*")[0]
    if spec.get("hostNetwork") and dotted.startswith("net."):
        return [invalid(path, name, "may not be specified when 'hostNetwork' is true")]
    if spec.get("hostIPC") and (dotted in _IPC or dotted.startswith("fs.mqueue.")):
        return [invalid(path, name, "may not be specified when 'hostIPC' is true")]
    return []


def seccomp(profile: Obj | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _SECCOMP:
        errors.append(not_supported(f"{path}.type", kind, _SECCOMP))
    where = f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            errors.append(required(where, "must be set when seccomp type is Localhost"))
        else:
            errors += local_descending(local, where)
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.append(invalid(where, shown, "can only be set when seccomp type is Localhost"))
    return errors


def app_armor(profile: Obj | None, path: str) -> list[FieldError]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    where = f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            return [required(where, "must be set when AppArmor type is Localhost")]
        return _app_armor_path(local, where)
    if kind in {"RuntimeDefault", "Unconfined"}:
        if local is None:
            return []
        return [invalid(where, local, "can only be set when AppArmor type is Localhost")]
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    return [not_supported(f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined"))]


def _app_armor_path(local: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if local.strip() != local:
        errors.append(invalid(path, local, "must not be padded with whitespace"))
    elif not local:
        errors.append(required(path, "must be set when AppArmor type is Localhost"))
    if len(local) > _PROFILE_PATH_MAX:
        errors.append(too_long(path, _PROFILE_PATH_MAX))
    return errors


def container_context(context: Obj | None, path: str, *, host_users: bool) -> list[FieldError]:
    if context is None:
        return []
    errors = _id(context, "runAsUser", path) + _id(context, "runAsGroup", path)
    mount = context.get("procMount")
    if mount is not None:
        if mount not in {"Default", "Unmasked"}:
            valid = ("Default", "Unmasked")
            errors.append(not_supported(f"{path}.procMount", mount, valid))
        if host_users and mount == "Unmasked":
            text = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid(f"{path}.procMount", mount, text))
    errors += seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    errors += _escalation(context, path)
    errors += windows_options(context.get("windowsOptions"), f"{path}.windowsOptions")
    return errors + app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _escalation(context: Obj, path: str) -> list[FieldError]:
    if context.get("allowPrivilegeEscalation") is not False:
        return []
    errors: list[FieldError] = []
    if context.get("privileged"):
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        errors.append(invalid(path, go_form(context, "core.v1.SecurityContext"), text))
    for capability in (context.get("capabilities") or {}).get("add") or ():
        if capability == "CAP_SYS_ADMIN":
            text = (
                "cannot set `allowPrivilegeEscalation` to false and "
                "`capabilities.Add` CAP_SYS_ADMIN"
            )
            errors.append(invalid(path, go_form(context, "core.v1.SecurityContext"), text))
    return errors


def host_users(spec: Obj, path: str) -> list[FieldError]:
    if spec.get("hostUsers") is not False:
        return []
    text = "when `hostUsers` is false"
    errors: list[FieldError] = []
    for field, shown in (
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ):
        if spec.get(field):
            errors.append(forbidden(f"{path}.{shown}", text))
    for container, where in containers_with_paths(spec, path):
        if container.get("volumeDevices"):
            errors.append(forbidden(f"{where}.volumeDevices", text))
    return errors
