"""Starts one container: image, configuration, create, start, postStart.

Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go (startContainer).
"""

import logging
from pathlib import Path
from typing import Any, Final

from tiphys.api.meta import Obj, at, uid_of
from tiphys.cri.errors import CriError
from tiphys.kubelet import container_log_links
from tiphys.kubelet.container_config import (
    Prepared,
    container_config,
    message_path,
    mount_of,
)
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.dns import hosts_file
from tiphys.kubelet.environment import ConfigError, environment
from tiphys.kubelet.expansion import expand
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.hooks import HookError, run_hook
from tiphys.kubelet.image_auth import credentials
from tiphys.kubelet.images import Image, StartError
from tiphys.kubelet.pod_events import NORMAL, WARNING
from tiphys.kubelet.pod_killer import PodKiller
from tiphys.kubelet.pod_spec import described, grace_seconds
from tiphys.kubelet.probes.probe import Target
from tiphys.kubelet.references import pull_secrets_of
from tiphys.kubelet.restart import shown_seconds
from tiphys.kubelet.runtime_state import PodRuntime, RuntimeContainer
from tiphys.kubelet.sandbox_config import pod_log_directory
from tiphys.kubelet.termination_message import message_file
from tiphys.kubelet.volumes.sub_path import bind_sub_path
from tiphys.kubelet.volumes.volume import HostVolume, VolumeError, pod_dir

log = logging.getLogger(__name__)

HOSTS_PATH: Final = "/etc/hosts"
MESSAGE_FILE_MODE: Final = 0o666
CRASH_LOOP: Final = "CrashLoopBackOff"
CONFIG_ERROR: Final = "CreateContainerConfigError"
CREATE_ERROR: Final = "CreateContainerError"
RUN_ERROR: Final = "RunContainerError"
HOOK_ERROR: Final = "PostStartHookError"
RETRY_SECONDS: Final = 10.0  # kubelet.go backOffPeriod


class ContainerStarter:
    def __init__(self, deps: Deps, killer: PodKiller) -> None:
        self._deps = deps
        self._killer = killer

    async def start(
        self,
        pod: Obj,
        container: Obj,
        runtime: PodRuntime,
        sandbox: dict[str, Any],
        volumes: dict[str, HostVolume],
    ) -> None:
        """Raises StartError with the reason that the container waits for."""
        name = container["name"]
        self._check_back_off(pod, container, runtime)
        try:
            auth = await self._auth(pod, container)
            image = await self._deps.images.ensure(pod, container, auth)
            config = await self._configure(pod, container, runtime, image, volumes)
            container_id = await self._create(pod, container, config, sandbox)
            self._link_log(pod, name, container_id, config["log_path"])
            await self._start(pod, container, container_id)
        except StartError as exc:
            shown = exc.message if exc.reason in _WITH_MESSAGE else exc.reason
            self._deps.events.container(pod, name, WARNING, "Failed", f"Error: {shown}")
            raise

    def _check_back_off(self, pod: Obj, container: Obj, runtime: PodRuntime) -> None:
        """A container that ended waits before it runs again. Raises StartError."""
        last = next((c for c in runtime.instances(container["name"]) if c.state == "exited"), None)
        if last is None:
            return
        deps = self._deps
        key = (uid_of(pod), container["name"], last.hash)
        ended = last.finished_at / 1e9
        wait = deps.back_off.wait_seconds(key, ended, deps.clock.now().timestamp())
        if wait > 0:
            name = container["name"]
            deps.events.container(
                pod,
                name,
                WARNING,
                "BackOff",
                f"Back-off restarting failed container {name} in pod {described(pod)}",
            )
            pause = shown_seconds(deps.back_off.current_seconds(key))
            message = f"back-off {pause} restarting failed container={name} pod={described(pod)}"
            raise StartError(CRASH_LOOP, message, wait)
        deps.back_off.next(key, ended)

    async def _auth(self, pod: Obj, container: Obj) -> list[dict[str, str]]:
        names = pull_secrets_of(pod)
        found, missing = [], []
        for name in names:
            secret = await self._deps.sources.secret(pod["metadata"]["namespace"], name)
            if secret is None:
                missing.append(name)
            else:
                found.append(secret)
        if missing:
            self._deps.events.pod(
                pod,
                WARNING,
                "FailedToRetrieveImagePullSecret",
                f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
                "attempting to pull the image may not succeed.",
            )
        return credentials(str(container.get("image", "")), found)

    async def _configure(
        self,
        pod: Obj,
        container: Obj,
        runtime: PodRuntime,
        image: Image,
        volumes: dict[str, HostVolume],
    ) -> dict[str, Any]:
        deps = self._deps
        attempt = next_attempt(pod, container, runtime, deps.config.pod_logs_dir)
        # What refers to the pod's address needs the one it has just got.
        known = _with_addresses(pod, runtime, deps.host_ips)
        try:
            sources = await deps.sources.snapshot(pod)
            values = environment(
                known,
                container,
                sources=sources,
                services=deps.services(),
                allocatable=deps.allocatable(),
            )
            mounts = self._mounts(known, container, attempt, volumes, values)
            target = container.get("targetContainerName")
            target_container = runtime.newest(target) if target else None
            prepared = Prepared(
                attempt=attempt,
                environment=values,
                mounts=tuple(mounts),
                image_ref=image.ref,
                image=image.info,
                target_id=target_container.id if target_container is not None else "",
                node_memory=deps.machine.memory,
            )
            return container_config(pod, container, prepared)
        except ConfigError as exc:
            raise StartError(CONFIG_ERROR, str(exc), RETRY_SECONDS) from exc
        except (VolumeError, OSError) as exc:
            raise StartError(CONFIG_ERROR, str(exc), RETRY_SECONDS) from exc

    def _mounts(
        self,
        pod: Obj,
        container: Obj,
        attempt: int,
        volumes: dict[str, HostVolume],
        values: dict[str, str],
    ) -> list[dict[str, Any]]:
        """Raises ConfigError, VolumeError, OSError."""
        home = pod_dir(self._deps.config.root_dir, pod)
        home.mkdir(parents=True, exist_ok=True)
        found = [
            self._volume_mount(home, container, index, mount, volumes, values)
            for index, mount in enumerate(container.get("volumeMounts") or [])
        ]
        taken = {m["container_path"] for m in found}
        if HOSTS_PATH not in taken and at(pod, "status", "podIP"):
            found.append({"container_path": HOSTS_PATH, "host_path": str(self._hosts(pod, home))})
        path = message_file(home, container["name"], attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(MESSAGE_FILE_MODE)
        found.append({"container_path": message_path(container), "host_path": str(path)})
        return found

    def _volume_mount(
        self,
        home: Path,
        container: Obj,
        index: int,
        mount: Obj,
        volumes: dict[str, HostVolume],
        values: dict[str, str],
    ) -> dict[str, Any]:
        volume = volumes.get(mount["name"])
        if volume is None:
            raise ConfigError(f'cannot find volume "{mount["name"]}" to mount into container')
        sub_path = mount.get("subPath") or ""
        if expression := mount.get("subPathExpr"):
            sub_path = expand(expression, values)
        if volume.path is None:
            return mount_of(mount, None, readonly=True, image=volume.image, sub_path=sub_path)
        path = volume.path
        if sub_path:
            target = home / "volume-subpaths" / mount["name"] / container["name"] / str(index)
            path = bind_sub_path(path, sub_path, target)
        return mount_of(mount, path, readonly=volume.readonly)

    def _hosts(self, pod: Obj, home: Path) -> Path:
        path = home / "etc-hosts"
        ips = tuple(entry["ip"] for entry in at(pod, "status", "podIPs", default=[]))
        try:
            of_host = Path(HOSTS_PATH).read_text()
        except OSError:
            of_host = ""
        path.write_text(hosts_file(pod, ips, self._deps.config.cluster_domain, of_host))
        path.chmod(0o644)
        return path

    async def _create(
        self, pod: Obj, container: Obj, config: dict[str, Any], sandbox: dict[str, Any]
    ) -> str:
        name = container["name"]
        folder = pod_log_directory(self._deps.config.pod_logs_dir, pod) / name
        folder.mkdir(parents=True, exist_ok=True)
        request = {
            "pod_sandbox_id": sandbox["id"],
            "config": config,
            "sandbox_config": sandbox["config"],
        }
        try:
            answer = await self._deps.cri.call("CreateContainer", request)
        except CriError as exc:
            raise StartError(CREATE_ERROR, exc.message, RETRY_SECONDS) from exc
        self._deps.events.container(pod, name, NORMAL, "Created", "Container created")
        return str(answer["container_id"])

    async def _start(self, pod: Obj, container: Obj, container_id: str) -> None:
        deps, name = self._deps, container["name"]
        try:
            await deps.cri.call("StartContainer", {"container_id": container_id})
        except CriError as exc:
            raise StartError(RUN_ERROR, exc.message, RETRY_SECONDS) from exc
        deps.events.container(pod, name, NORMAL, "Started", "Container started")
        hook = at(container, "lifecycle", "postStart")
        if not hook:
            return
        running = RuntimeContainer(container_id, name, "running")
        ip = next(iter(deps.cache.get(uid_of(pod)).ips), "")
        try:
            await run_hook(deps.cri, deps.clock, hook, Target(pod, container, running, ip))
        except HookError as exc:
            log.info("postStart failed", extra={"container": name, "why": str(exc)})
            deps.events.container(pod, name, WARNING, "FailedPostStartHook", "PostStartHook failed")
            await self._end_failed(pod, running)
            raise StartError(HOOK_ERROR, "PostStartHook failed", RETRY_SECONDS) from exc

    def _link_log(self, pod: Obj, name: str, container_id: str, log_path: str) -> None:
        logs = self._deps.config.pod_logs_dir
        log_file = pod_log_directory(logs, pod) / log_path
        container_log_links.add(logs, pod, name, container_id, log_file)

    async def _end_failed(self, pod: Obj, running: RuntimeContainer) -> None:
        try:
            await self._killer.kill_container(
                pod, running, "FailedPostStartHook", grace_seconds(pod)
            )
        except CriError as exc:
            log.info("container not stopped", extra={"why": error_text(exc)})


_WITH_MESSAGE: Final = (CONFIG_ERROR, CREATE_ERROR, RUN_ERROR)


def _with_addresses(pod: Obj, runtime: PodRuntime, host_ips: tuple[str, ...]) -> Obj:
    status = dict(pod.get("status") or {})
    ips = host_ips if at(pod, "spec", "hostNetwork") else runtime.ips
    if ips:
        status |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    if host_ips:
        status |= {"hostIP": host_ips[0], "hostIPs": [{"ip": ip} for ip in host_ips]}
    return pod | {"status": status}


def next_attempt(pod: Obj, container: Obj, runtime: PodRuntime, logs_root: Path) -> int:
    """The container's restart count: one more than the newest's, or than its logs tell."""
    newest = runtime.newest(container["name"])
    if newest is not None:
        return newest.restart_count + 1
    folder = pod_log_directory(logs_root, pod) / container["name"]
    try:
        found = [int(p.name.split(".")[0]) for p in folder.iterdir() if p.name[0].isdigit()]
    except (OSError, ValueError):
        return 0
    return max(found) + 1 if found else 0
