"""Security contexts as CRI takes them.

Upstream: pkg/kubelet/kuberuntime/security_context.go, pkg/securitycontext, container/helpers.go.
"""

from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.kubelet.environment import ConfigError
from tiphys.kubelet.pod_spec import described, is_host_network

# Upstream: pkg/securitycontext/util.go defaultMaskedPaths, defaultReadonlyPaths.
MASKED_PATHS: Final = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS: Final = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
_INHERITED: Final = (
    "seLinuxOptions",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "seccompProfile",
    "appArmorProfile",
)
_PROFILES: Final = {
    "RuntimeDefault": "RuntimeDefault",
    "Unconfined": "Unconfined",
    "Localhost": "Localhost",
}


def effective(pod: Obj, container: Obj) -> Obj:
    """The container's context over the pod's. Upstream: DetermineEffectiveSecurityContext."""
    shared: Obj = at(pod, "spec", "securityContext", default={})
    own: Obj = container.get("securityContext") or {}
    return {k: shared[k] for k in _INHERITED if k in shared} | {
        k: v for k, v in own.items() if v is not None
    }


def namespace_options(pod: Obj, target_id: str = "") -> dict[str, Any]:
    """NamespaceOption of CRI; target_id joins the processes of another container."""
    spec = pod["spec"]
    pid = "CONTAINER"
    if spec.get("hostPID"):
        pid = "NODE"
    elif spec.get("shareProcessNamespace"):
        pid = "POD"
    options: dict[str, Any] = {
        "network": "NODE" if is_host_network(pod) else "POD",
        "pid": "TARGET" if target_id else pid,
        "ipc": "NODE" if spec.get("hostIPC") else "POD",
    }
    return options | ({"target_id": target_id} if target_id else {})


def profile(wanted: Obj | None) -> dict[str, Any]:
    """A SecurityProfile. Unset is unconfined: upstream's kubelet default without its flag."""
    kind = (wanted or {}).get("type") or "Unconfined"
    found: dict[str, Any] = {"profile_type": _PROFILES.get(kind, "Unconfined")}
    if kind == "Localhost":
        found["localhost_ref"] = (wanted or {}).get("localhostProfile", "")
    return found


def sandbox_context(pod: Obj) -> dict[str, Any]:
    """LinuxSandboxSecurityContext."""
    shared: Obj = at(pod, "spec", "securityContext", default={})
    context: dict[str, Any] = {
        "namespace_options": namespace_options(pod),
        "privileged": any(
            at(c, "securityContext", "privileged")
            for name in ("initContainers", "containers")
            for c in pod["spec"].get(name) or []
        ),
        # Always, so that a pod may use a profile too narrow for the pause process.
        "seccomp": profile({"type": "RuntimeDefault"}),
        "supplemental_groups": _groups(shared),
    }
    for name, key in (("runAsUser", "run_as_user"), ("runAsGroup", "run_as_group")):
        # A group alone is refused by runtimes.
        if shared.get(name) is not None and (name == "runAsUser" or "runAsUser" in shared):
            context[key] = {"value": shared[name]}
    if shared.get("seLinuxOptions"):
        context["selinux_options"] = shared["seLinuxOptions"]
    return context


def _groups(shared: Obj) -> list[int]:
    groups = [shared["fsGroup"]] if shared.get("fsGroup") is not None else []
    return groups + [g for g in shared.get("supplementalGroups") or [] if g not in groups]


def container_context(
    pod: Obj, container: Obj, image: Obj, *, target_id: str = ""
) -> dict[str, Any]:
    """LinuxContainerSecurityContext; image is CRI's, for the user it names."""
    context = effective(pod, container)
    shared: Obj = at(pod, "spec", "securityContext", default={})
    privileged = bool(context.get("privileged"))
    found: dict[str, Any] = {
        "namespace_options": namespace_options(pod, target_id),
        "privileged": privileged,
        "readonly_rootfs": bool(context.get("readOnlyRootFilesystem")),
        "no_new_privs": context.get("allowPrivilegeEscalation") is False,
        "supplemental_groups": _groups(shared),
        "seccomp": profile(None if privileged else context.get("seccompProfile")),
    }
    if shared.get("supplementalGroupsPolicy"):
        found["supplemental_groups_policy"] = shared["supplementalGroupsPolicy"]
    if capabilities := context.get("capabilities"):
        found["capabilities"] = {
            "add_capabilities": list(capabilities.get("add") or []),
            "drop_capabilities": list(capabilities.get("drop") or []),
        }
    if context.get("procMount") != "Unmasked" and not privileged:
        found |= {"masked_paths": list(MASKED_PATHS), "readonly_paths": list(READONLY_PATHS)}
    if context.get("seLinuxOptions"):
        found["selinux_options"] = context["seLinuxOptions"]
    return found | _user(context, image)


def _user(context: Obj, image: Obj) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if context.get("runAsUser") is not None:
        found["run_as_user"] = {"value": context["runAsUser"]}
    elif image.get("uid"):
        found["run_as_user"] = {"value": image["uid"].get("value", 0)}
    elif image.get("username"):
        found["run_as_username"] = image["username"]
    if context.get("runAsGroup") is not None:
        if not found:
            found["run_as_user"] = {"value": 0}
        found["run_as_group"] = {"value": context["runAsGroup"]}
    return found


def check_non_root(pod: Obj, container: Obj, image: Obj) -> None:
    """Raises ConfigError where runAsNonRoot is asked for and the user is or may be root."""
    context = effective(pod, container)
    if not context.get("runAsNonRoot"):
        return
    where = f'(pod: "{described(pod)}", container: {container["name"]})'
    if context.get("runAsUser") is not None:
        if context["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    uid = (image.get("uid") or {}).get("value", 0) if image.get("uid") is not None else None
    if uid == 0 or (uid is None and not image.get("username")):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    if uid is None:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user "
            f"({image['username']}), cannot verify user is non-root {where}"
        )
