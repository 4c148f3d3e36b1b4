"""Level baseline: what known ways of getting out of a pod are forbidden.

Upstream: pod-security-admission/policy/check_*.go of LevelBaseline.
"""

import json
from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.apiserver.pod_security.pods import (
    Violation,
    containers,
    counted,
    has_own_users,
    names,
    quoted,
    setters,
    who,
)

CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
PROFILES: Final = ("RuntimeDefault", "Localhost")
SELINUX_TYPES: Final = ("", "container_t", "container_init_t", "container_kvm_t")
SYSCTLS: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
)
SYSCTLS_1_27: Final = (*SYSCTLS, "net.ipv4.ip_local_reserved_ports")
SYSCTLS_1_29: Final = (
    *SYSCTLS_1_27,
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
)
SYSCTLS_1_32: Final = (*SYSCTLS_1_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"


def app_armor(pod: Obj) -> Violation | None:
    def kind(context: Obj) -> str | None:
        profile = context.get("appArmorProfile")
        return None if profile is None else str(profile.get("type", ""))

    def is_bad(context: Obj) -> bool:
        return kind(context) not in (None, *PROFILES)

    found = setters(pod, is_bad)
    contexts = _contexts(pod)
    values = sorted({str(kind(context)) for context in contexts if is_bad(context)})
    notes = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in _annotations(pod).items()
        if key.startswith(_APPARMOR)
        and not (value in ("", "runtime/default") or value.startswith("localhost/"))
    )
    if notes:
        values += notes
        found.append(counted("annotation", "annotations", notes))
    if not found:
        return None
    reason = counted("forbidden AppArmor profile", "forbidden AppArmor profiles", values)
    detail = f"{' and '.join(found)} must not set AppArmor profile type to {quoted(values)}"
    return Violation(reason, detail)


def _contexts(pod: Obj) -> list[Obj]:
    own = at(pod, "spec", "securityContext", default=None) or {}
    return [own, *(c.get("securityContext") or {} for c in containers(pod))]


def _annotations(pod: Obj) -> dict[str, str]:
    found: dict[str, str] = at(pod, "metadata", "annotations", default=None) or {}
    return found


def capabilities(pod: Obj) -> Violation | None:
    bad, forbidden = added(pod, CAPABILITIES)
    if not bad:
        return None
    what = f"must not include {quoted(forbidden)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", f"{who(bad)} {what}")


def added(pod: Obj, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    """(containers, what they add beyond allowed)."""
    bad, forbidden = [], set()
    for container in containers(pod):
        wanted = at(container, "securityContext", "capabilities", "add", default=None) or []
        beyond = {str(one) for one in wanted} - allowed
        if beyond:
            bad.append(str(container.get("name", "")))
            forbidden |= beyond
    return bad, sorted(forbidden)


def host_namespaces(pod: Obj) -> Violation | None:
    spec = pod.get("spec") or {}
    names_of = ("hostNetwork", "hostPID", "hostIPC")
    found = [f"{name}=true" for name in names_of if spec.get(name)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(pod: Obj) -> Violation | None:
    volumes = at(pod, "spec", "volumes", default=None) or []
    bad = names(v for v in volumes if v.get("hostPath") is not None)
    if not bad:
        return None
    return Violation("hostPath volumes", f"{counted('volume', 'volumes', bad)} {quoted(bad)}")


def host_ports(pod: Obj) -> Violation | None:
    bad, ports = [], set()
    for container in containers(pod):
        found = {str(p["hostPort"]) for p in container.get("ports") or [] if p.get("hostPort")}
        if found:
            bad.append(str(container.get("name", "")))
            ports |= found
    if not bad:
        return None
    uses, what = counted("uses", "use", bad), counted("hostPort", "hostPorts", sorted(ports))
    return Violation("hostPort", f"{who(bad)} {uses} {what} {', '.join(sorted(ports))}")


def host_probes(pod: Obj) -> Violation | None:
    bad, hosts = set(), set()
    for container in containers(pod):
        found = {host for handler in _handlers(container) for host in _hosts(handler)}
        if found:
            bad.add(str(container.get("name", "")))
            hosts |= found
    if not bad:
        return None
    words, uses = who(sorted(bad)), counted("uses", "use", sorted(bad))
    what = counted("probe or lifecycle host", "probe or lifecycle hosts", sorted(hosts))
    return Violation("probe or lifecycle host", f"{words} {uses} {what} {quoted(sorted(hosts))}")


def _handlers(container: Obj) -> list[Obj]:
    life = container.get("lifecycle") or {}
    probes = [container.get(f"{name}Probe") for name in ("liveness", "readiness", "startup")]
    return [one for one in (*probes, life.get("postStart"), life.get("preStop")) if one]


def _hosts(handler: Obj) -> list[str]:
    found: list[Any] = [(handler.get(k) or {}).get("host") for k in ("httpGet", "tcpSocket")]
    return [str(host) for host in found if host]


def privileged(pod: Obj) -> Violation | None:
    bad = names(c for c in containers(pod) if at(c, "securityContext", "privileged", default=None))
    if not bad:
        return None
    return Violation("privileged", f"{who(bad)} must not set securityContext.privileged=true")


def proc_mount(pod: Obj) -> Violation | None:
    bad, kinds = [], set()
    for container in containers(pod):
        kind = at(container, "securityContext", "procMount", default=None)
        if kind not in (None, "Default"):
            bad.append(str(container.get("name", "")))
            kinds.add(str(kind))
    if not bad:
        return None
    what = f"must not set securityContext.procMount to {quoted(sorted(kinds))}"
    return Violation("procMount", f"{who(bad)} {what}")


def proc_mount_1_35(pod: Obj) -> Violation | None:
    return None if has_own_users(pod) else proc_mount(pod)


def seccomp_annotations(pod: Obj) -> Violation | None:
    """Before there was a field for it: up to version 1.18."""
    keys = [_SECCOMP_POD, *(f"{_SECCOMP}{name}" for name in names(containers(pod)))]
    notes = _annotations(pod)
    bad = sorted(
        f"{key}={json.dumps(notes[key])}"
        for key in keys
        if key in notes
        and notes[key] not in ("runtime/default", "docker/default")
        and not notes[key].startswith("localhost/")
    )
    if not bad:
        return None
    what = f"forbidden {counted('annotation', 'annotations', bad)} {', '.join(bad)}"
    return Violation("seccompProfile", what)


def seccomp(pod: Obj) -> Violation | None:
    def kind(context: Obj) -> str | None:
        profile = context.get("seccompProfile")
        return None if profile is None else str(profile.get("type", ""))

    def is_bad(context: Obj) -> bool:
        return kind(context) not in (None, *PROFILES)

    found = setters(pod, is_bad)
    if not found:
        return None
    values = quoted(sorted({str(kind(c)) for c in _contexts(pod) if is_bad(c)}))
    what = f"must not set securityContext.seccompProfile.type to {values}"
    return Violation("seccompProfile", f"{' and '.join(found)} {what}")


def selinux(pod: Obj, types: tuple[str, ...] = SELINUX_TYPES) -> Violation | None:
    def options(context: Obj) -> Obj:
        found: Obj = context.get("seLinuxOptions") or {}
        return found

    def is_bad(context: Obj) -> bool:
        own = options(context)
        return own.get("type", "") not in types or bool(own.get("user") or own.get("role"))

    found = setters(pod, is_bad)
    if not found:
        return None
    all_options = [options(context) for context in _contexts(pod)]
    bad = sorted({str(o["type"]) for o in all_options if o.get("type", "") not in types})
    what = [f"{counted('type', 'types', bad)} {quoted(bad)}"] if bad else []
    set_fields = (f for f in ("user", "role") if any(one.get(f) for one in all_options))
    what += [f"{field} may not be set" for field in set_fields]
    detail = f"{' and '.join(found)} set forbidden securityContext.seLinuxOptions: "
    return Violation("seLinuxOptions", detail + "; ".join(what))


def selinux_1_31(pod: Obj) -> Violation | None:
    return selinux(pod, (*SELINUX_TYPES, "container_engine_t"))


def sysctls(pod: Obj, allowed: tuple[str, ...] = SYSCTLS) -> Violation | None:
    wanted = at(pod, "spec", "securityContext", "sysctls", default=None) or []
    bad = [name for name in names(wanted) if name not in allowed]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def sysctls_1_27(pod: Obj) -> Violation | None:
    return sysctls(pod, SYSCTLS_1_27)


def sysctls_1_29(pod: Obj) -> Violation | None:
    return sysctls(pod, SYSCTLS_1_29)


def sysctls_1_32(pod: Obj) -> Violation | None:
    return sysctls(pod, SYSCTLS_1_32)


def windows_host_process(pod: Obj) -> Violation | None:
    found = setters(pod, lambda c: bool(at(c, "windowsOptions", "hostProcess", default=None)))
    if not found:
        return None
    what = "must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", f"{' and '.join(found)} {what}")
