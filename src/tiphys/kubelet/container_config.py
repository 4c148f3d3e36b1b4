"""The ContainerConfig of a container.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go (generateContainerConfig), labels.go.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tiphys.api.meta import Obj, at, name_of, namespace_of, uid_of
from tiphys.kubelet import security
from tiphys.kubelet.cgroups import container_resources
from tiphys.kubelet.expansion import expand
from tiphys.kubelet.pod_spec import container_hash
from tiphys.kubelet.runtime_state import (
    CONTAINER_HASH,
    CONTAINER_NAME,
    MESSAGE_PATH,
    MESSAGE_POLICY,
    POD_GRACE,
    POD_NAME,
    POD_NAMESPACE,
    POD_UID,
    RESTART_COUNT,
)

MESSAGE_PATH_DEFAULT: Final = "/dev/termination-log"
PROPAGATION: Final = {
    "None": "PROPAGATION_PRIVATE",
    "HostToContainer": "PROPAGATION_HOST_TO_CONTAINER",
    "Bidirectional": "PROPAGATION_BIDIRECTIONAL",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the shell has made ready for one container."""

    attempt: int
    environment: Mapping[str, str]
    mounts: tuple[dict[str, Any], ...]
    image_ref: str
    image: Obj = field(default_factory=dict)
    """The runtime's image, for the user it names."""
    target_id: str = ""
    node_memory: int = 0


def container_config(pod: Obj, container: Obj, prepared: Prepared) -> dict[str, Any]:
    """Raises ConfigError where the container's user is not allowed."""
    security.check_non_root(pod, container, prepared.image)
    name = container["name"]
    environment = prepared.environment
    config: dict[str, Any] = {
        "metadata": {"name": name, "attempt": prepared.attempt},
        "image": {"image": prepared.image_ref, "user_specified_image": container.get("image", "")},
        "command": [expand(word, environment) for word in container.get("command") or []],
        "args": [expand(word, environment) for word in container.get("args") or []],
        "working_dir": container.get("workingDir") or "",
        "envs": [
            {"key": k, "value": v.encode("utf-8", "surrogateescape")}
            for k, v in environment.items()
        ],
        "mounts": list(prepared.mounts),
        "labels": {
            CONTAINER_NAME: name,
            POD_NAME: name_of(pod),
            POD_NAMESPACE: namespace_of(pod),
            POD_UID: uid_of(pod),
        },
        "annotations": _annotations(pod, container, prepared.attempt),
        "log_path": log_path(name, prepared.attempt),
        "stdin": bool(container.get("stdin")),
        "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {
            "resources": container_resources(pod, container, prepared.node_memory),
            "security_context": security.container_context(
                pod, container, prepared.image, target_id=prepared.target_id
            ),
        },
    }
    if signal := at(container, "lifecycle", "stopSignal"):
        config["stop_signal"] = signal
    return config


def log_path(name: str, attempt: int) -> str:
    """Below the pod's log directory."""
    return f"{name}/{attempt}.log"


def message_path(container: Obj) -> str:
    return str(container.get("terminationMessagePath") or MESSAGE_PATH_DEFAULT)


def _annotations(pod: Obj, container: Obj, attempt: int) -> dict[str, str]:
    found = {
        CONTAINER_HASH: container_hash(container),
        RESTART_COUNT: str(attempt),
        MESSAGE_PATH: message_path(container),
        MESSAGE_POLICY: container.get("terminationMessagePolicy") or "File",
        POD_GRACE: str(at(pod, "spec", "terminationGracePeriodSeconds", default=30)),
    }
    if ports := container.get("ports"):
        found["io.kubernetes.container.ports"] = json.dumps(ports, separators=(",", ":"))
    if hook := at(container, "lifecycle", "preStop"):
        found["io.kubernetes.container.preStopHandler"] = json.dumps(hook, separators=(",", ":"))
    return found


def mount_of(
    mount: Obj, host_path: Path | None, *, readonly: bool, image: str = "", sub_path: str = ""
) -> dict[str, Any]:
    """One Mount of CRI for a volumeMount."""
    path = mount["mountPath"]
    found: dict[str, Any] = {
        "container_path": path if path.startswith("/") else f"/{path}",
        "readonly": readonly or bool(mount.get("readOnly")),
        "propagation": PROPAGATION.get(mount.get("mountPropagation") or "None"),
    }
    if host_path is not None:
        found["host_path"] = str(host_path)
    if image:
        found["image"] = {"image": image}
        if sub_path:
            found["image_sub_path"] = sub_path
    return found
