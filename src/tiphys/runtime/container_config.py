"""What a CRI container config asks for, in the runtime's terms: signals, namespaces, devices.

Upstream: cri-api ContainerConfig; containerd pkg/cri/server (meaning of the fields).
"""

import contextlib
import os
import signal
import stat
from collections.abc import Mapping
from typing import Any, Final

from tiphys.runtime.records import Container, Sandbox

PROFILE_BYTES_MAX: Final = 1 << 20
Call = Mapping[str, Any]
Answer = dict[str, Any]


def stop_signal(container: Container) -> int:
    """The number of the pod's or the image's stop signal; SIGTERM by default."""
    given = container.config.get("stop_signal") or "RUNTIME_DEFAULT"
    text = container.image_process.get("StopSignal", "") if given == "RUNTIME_DEFAULT" else given
    if text.isdigit():
        return int(text)
    name = text.replace("PLUS", "+").replace("MINUS", "-")
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    try:
        number = int(signal.Signals[base if base.startswith("SIG") else f"SIG{base}"])
    except KeyError:
        return int(signal.SIGTERM)
    return number + int(f"{sign}{offset}") if offset else number


def signal_name(container: Container) -> str:
    """CRI's name of `stop_signal`."""
    given = container.config.get("stop_signal")
    if given and given != "RUNTIME_DEFAULT":
        return str(given)
    with contextlib.suppress(ValueError):
        return signal.Signals(stop_signal(container)).name
    return "SIGTERM"


def pid_mode(config: Call, sandbox: Sandbox) -> str:
    """The shim's name for the PID namespace a container asks for."""
    context = (config.get("linux") or {}).get("security_context") or {}
    options = context.get("namespace_options") or {}
    mode = options.get("pid", "POD")
    if mode == "TARGET":
        return f"target:{options.get('target_id', '')}"
    if mode == "POD":
        return "pod" if sandbox.namespace_mode("pid") == "POD" else "container"
    return {"NODE": "node"}.get(mode, "container")


def host_devices(config: Call, *, privileged: bool) -> list[Answer]:
    """Devices of the node that a container gets: those named, or all when it is privileged.

    Raises: ValueError for a path that is not a device.
    """
    found = []
    for device in config.get("devices") or ():
        row = _device(device["host_path"], device["container_path"], device.get("permissions", ""))
        if row is None:
            raise ValueError(f"{device['host_path']} is not a device")
        found.append(row)
    if privileged:
        skipped = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
        entries = [entry for entry in os.scandir("/dev") if not entry.is_symlink()]
        names = sorted({entry.name for entry in entries} - skipped)
        rows = [_device(f"/dev/{name}", f"/dev/{name}", "rwm") for name in names]
        named = {row["path"] for row in found}
        found += [row for row in rows if row is not None and row["path"] not in named]
    return found


def _device(host_path: str, path: str, permissions: str) -> Answer | None:
    status = os.stat(host_path, follow_symlinks=True) if os.path.exists(host_path) else None
    if status is None or not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        return None
    return {
        "path": path,
        "type": "b" if stat.S_ISBLK(status.st_mode) else "c",
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "access": permissions or "rwm",
    }


def make_places(config: Call, log_path: str) -> None:
    """As containerd: the source of a mount that is missing becomes a directory."""
    for mount in config.get("mounts") or ():
        if not mount.get("image") and not os.path.lexists(mount.get("host_path", "")):
            os.makedirs(mount.get("host_path", ""), 0o755)
    if log_path:
        os.makedirs(os.path.dirname(log_path), 0o755, exist_ok=True)


def seccomp_text(context: Call) -> str:
    profile = context.get("seccomp") or {}
    if profile.get("profile_type") != "Localhost":
        return ""
    path = str(profile.get("localhost_ref", "")).removeprefix("localhost/")
    try:
        with open(path) as file:
            return file.read(PROFILE_BYTES_MAX)
    except OSError as exc:
        raise ValueError(f"seccomp profile {path}: {exc.strerror}") from exc


def storable(config: Call) -> Answer:
    """The config with values that JSON can hold: variables' bytes as text."""
    envs = [
        {"key": e["key"], "value": e.get("value", b"").decode("utf-8", "surrogateescape")}
        for e in config.get("envs") or ()
    ]
    return {**config, "envs": envs}


def restored(config: Call) -> Answer:
    envs = [
        {"key": e["key"], "value": e["value"].encode("utf-8", "surrogateescape")}
        for e in config.get("envs") or ()
    ]
    return {**config, "envs": envs}
