"""From a CRI container to an OCI runtime spec. Pure: images, paths and numbers come in.

The spec is a dict in the shape of the OCI runtime spec; what our executor needs besides (how to
make the root, the compiled seccomp program) is beside it under keys of our own.

Sources: OCI runtime-spec config.md; Upstream: containerd pkg/cri (meaning of CRI's fields).
"""

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.runtime.cgroups.devices import ALL_RULES, DEFAULT_RULES
from tiphys.runtime.oci import capabilities
from tiphys.runtime.oci.seccomp import compile_profile
from tiphys.runtime.oci.seccomp_default import default_profile

PROPAGATION: Final = {
    "PROPAGATION_PRIVATE": "rprivate",
    "PROPAGATION_HOST_TO_CONTAINER": "rslave",
    "PROPAGATION_BIDIRECTIONAL": "rshared",
}


@dataclass(frozen=True)
class Inputs:
    """What a spec is made of. `files` are the sandbox's own files by their place in /etc."""

    config: Mapping[str, Any]
    image_process: Mapping[str, Any]
    hostname: str
    root: Mapping[str, Any]
    files: Mapping[str, str]
    cgroup_path: str
    cgroup_mounts: Mapping[str, str]
    host_devices: Sequence[dict[str, Any]]
    machine: str
    node_ipc: bool = False
    image_layers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Layers, topmost first, of the images that are mounted, by the name in the mount."""
    seccomp_profile: str = ""  # JSON text of a profile of the node, when one is asked for.


def build(inputs: Inputs) -> dict[str, Any]:
    """Raises: ValueError saying which field is wrong."""
    config = inputs.config
    linux = config.get("linux") or {}
    context = linux.get("security_context") or {}
    privileged = bool(context.get("privileged"))
    return {
        "ociVersion": "1.2.0",
        "process": process(inputs, config, context),
        "root": {**inputs.root, "readonly": bool(context.get("readonly_rootfs"))},
        "hostname": inputs.hostname,
        "mounts": mounts(inputs),
        "linux": {
            "privileged": privileged,
            "cgroupsPath": inputs.cgroup_path,
            "cgroupMounts": dict(inputs.cgroup_mounts),
            "resources": {
                **resources(linux.get("resources") or {}),
                "devices": device_rules(inputs.host_devices, privileged=privileged),
            },
            "devices": list(inputs.host_devices),
            "maskedPaths": [] if privileged else list(context.get("masked_paths") or ()),
            "readonlyPaths": [] if privileged else list(context.get("readonly_paths") or ()),
        },
    }


def process(
    inputs: Inputs, config: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    """The first process of the container; exec takes it with other args."""
    image = inputs.image_process
    command = list(config.get("command") or ())
    args = list(config.get("args") or ())
    if not command:
        command = list(image.get("Entrypoint") or ())
        args = args or list(image.get("Cmd") or ())
    if not command + args:
        raise ValueError("no command specified")
    named = context.get("capabilities") or {}
    held = capabilities.resolve(
        named.get("add_capabilities") or (),
        named.get("drop_capabilities") or (),
        privileged=bool(context.get("privileged")),
    )
    resources_given = (config.get("linux") or {}).get("resources") or {}
    return {
        "terminal": bool(config.get("tty")),
        "user": user(image, context),
        "args": command + args,
        "env": environment(inputs, config),
        "cwd": config.get("working_dir") or image.get("WorkingDir") or "/",
        "capabilities": held,
        "noNewPrivileges": bool(context.get("no_new_privs")),
        "oomScoreAdj": resources_given.get("oom_score_adj", 0),
        "seccomp": seccomp(context, held, inputs.machine, inputs.seccomp_profile),
    }


def user(image: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """Names or numbers, resolved inside the container (see users)."""
    name, _, group = str(image.get("User") or "").partition(":")
    if context.get("run_as_username"):
        name, group = context["run_as_username"], ""
    elif context.get("run_as_user") is not None:
        name, group = str(context["run_as_user"].get("value", 0)), ""
    if context.get("run_as_group") is not None:
        group = str(context["run_as_group"].get("value", 0))
    return {
        "user": name,
        "group": group,
        "additionalGids": list(context.get("supplemental_groups") or ()),
        "strict": context.get("supplemental_groups_policy") == "Strict",
    }


def environment(inputs: Inputs, config: Mapping[str, Any]) -> list[str]:
    """The image's variables, then the pod's, which win."""
    pairs = [pair for pair in inputs.image_process.get("Env") or () if "=" in pair]
    found = dict(pair.split("=", 1) for pair in pairs)
    found.setdefault("HOSTNAME", inputs.hostname)
    if config.get("tty"):
        found.setdefault("TERM", "xterm")
    for entry in config.get("envs") or ():
        found[entry["key"]] = entry.get("value", b"").decode("utf-8", "surrogateescape")
    return [f"{key}={value}" for key, value in found.items()]


def seccomp(
    context: Mapping[str, Any], held: Sequence[str], machine: str, profile_text: str
) -> str:
    """The compiled program in base64; "" for none."""
    profile = context.get("seccomp") or {}
    kind = profile.get("profile_type", "RuntimeDefault")
    if context.get("privileged") or kind == "Unconfined":
        return ""
    if kind == "Localhost":
        program = compile_profile(json.loads(profile_text), machine)
        return base64.b64encode(program).decode()
    return _default_program(tuple(held), machine)


@functools.lru_cache(maxsize=32)
def _default_program(held: tuple[str, ...], machine: str) -> str:
    return base64.b64encode(compile_profile(default_profile(held), machine)).decode()


def mounts(inputs: Inputs) -> list[dict[str, Any]]:
    """Mounts in the order of their depth, so that none hides another."""
    layers_dir = inputs.root.get("layers_dir", "")
    entries = inputs.config.get("mounts") or ()
    given = [mount(entry, inputs.image_layers, layers_dir) for entry in entries]
    places = {entry["destination"].rstrip("/") for entry in given}
    own = [
        {"destination": place, "type": "bind", "source": path, "options": ["bind", "rprivate"]}
        for place, path in inputs.files.items()
        if place not in places
    ]
    if inputs.node_ipc and "/dev/shm" not in places:
        own.append(
            {
                "destination": "/dev/shm",
                "type": "bind",
                "source": "/dev/shm",
                "options": ["rbind", "rprivate"],
            }
        )
    return sorted([*own, *given], key=lambda entry: entry["destination"].rstrip("/").count("/"))


def mount(
    entry: Mapping[str, Any],
    image_layers: Mapping[str, Sequence[str]] | None = None,
    layers_dir: str = "",
) -> dict[str, Any]:
    """One mount: of a path of the node, or (type "image") of an image's files, read-only."""
    place = entry.get("container_path", "")
    if not place.startswith("/"):
        raise ValueError(f"mount destination {place!r} is not absolute")
    if image := (entry.get("image") or {}).get("image"):
        return {
            "destination": place,
            "type": "image",
            "source": image,
            "layers": list((image_layers or {})[image]),
            "layersDir": layers_dir,
            "subPath": entry.get("image_sub_path", ""),
            "options": ["ro"],
        }
    options = ["rbind", PROPAGATION[entry.get("propagation", "PROPAGATION_PRIVATE")]]
    if entry.get("readonly"):
        options.append("ro")
    if entry.get("recursive_read_only"):
        options.append("rro")
    return {
        "destination": place,
        "type": "bind",
        "source": entry.get("host_path", ""),
        "options": options,
    }


def resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """CRI's LinuxContainerResources as OCI's linux.resources; what is 0 or absent is left out."""
    cpu = {
        "shares": given.get("cpu_shares"),
        "quota": given.get("cpu_quota"),
        "period": given.get("cpu_period"),
        "cpus": given.get("cpuset_cpus"),
        "mems": given.get("cpuset_mems"),
    }
    memory = {
        "limit": given.get("memory_limit_in_bytes"),
        "swap": given.get("memory_swap_limit_in_bytes"),
    }
    return {
        "cpu": {key: value for key, value in cpu.items() if value},
        "memory": {key: value for key, value in memory.items() if value},
        "unified": dict(given.get("unified") or {}),
    }


def device_rules(devices: Sequence[dict[str, Any]], *, privileged: bool) -> list[dict[str, Any]]:
    """What may be opened: everything, or the defaults and the devices that the pod was given."""
    if privileged:
        return list(ALL_RULES)
    own = [
        {
            "allow": True,
            "type": device["type"],
            "major": device["major"],
            "minor": device["minor"],
            "access": device["access"],
        }
        for device in devices
    ]
    return [*DEFAULT_RULES, *own]
