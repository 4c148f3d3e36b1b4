"""All pods of this node: one loop for each, started by the watch or by what the runtime holds.

Upstream: pkg/kubelet/kubelet.go (syncLoop, HandlePod*), pod_workers.go, kubelet_pods.go
(HandlePodCleanups).
"""

import asyncio
import logging
from typing import Final

from tiphys.api.meta import Obj, at, uid_of
from tiphys.client.informer import Informer
from tiphys.cri.errors import CriError
from tiphys.kubelet.deps import Deps
from tiphys.kubelet.pod_cgroup import PodCgroups
from tiphys.kubelet.pod_loop import PodLoop
from tiphys.kubelet.pod_phase import is_terminal
from tiphys.kubelet.runtime_state import EMPTY
from tiphys.kubelet.volumes.pod_volumes import tear_down
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

CLEAN_UP_RETRY_SECONDS: Final = 5.0


class Pods:
    def __init__(self, deps: Deps, cgroups: PodCgroups, informer: Informer) -> None:
        self._deps = deps
        self._cgroups = cgroups
        self._informer = informer
        self._loops: dict[str, PodLoop] = {}
        self._objects: dict[str, Obj] = {}
        self._tasks = TaskSet()
        # Until the API's pods have their loops, nothing of the runtime may be called an orphan.
        self._knows_all = False

    def get(self, uid: str) -> Obj | None:
        """The API's newest known object."""
        return self._objects.get(uid)

    def find(self, namespace: str, name: str) -> Obj | None:
        wanted = (namespace, name)
        return next(
            (
                pod
                for pod in self._objects.values()
                if (pod["metadata"].get("namespace"), pod["metadata"]["name"]) == wanted
            ),
            None,
        )

    def items(self) -> list[Obj]:
        """With the statuses that we know, which may be newer than the API's."""
        found = []
        for uid, pod in self._objects.items():
            status = self._deps.statuses.status(uid)
            found.append(pod if status is None else pod | {"status": status})
        return found

    def active(self) -> list[Obj]:
        return [p for p in self.items() if not is_terminal(at(p, "status", "phase", default=""))]

    def wake(self, uid: str) -> None:
        """Something of the pod changed: runtime, probe, config map."""
        loop = self._loops.get(uid)
        if loop is not None:
            loop.wake()
        elif self._knows_all and self._deps.cache.get(uid) != EMPTY:
            self._adopt_orphan(uid)

    async def run(self) -> None:
        """Follow the API and, once it is known, end what it no longer has. Until cancelled."""
        await self._deps.cache.relisted.wait()
        self._informer.on_change(self._changed)
        await self._informer.synced()
        self._knows_all = True
        for uid in self._deps.cache.uids():
            if uid not in self._loops:
                self._adopt_orphan(uid)
        self._remove_left_directories()
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        await self._tasks.close()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if old is not None and (new is None or uid_of(old) != uid_of(new)):
            self._gone(uid_of(old))
        if new is not None:
            self._updated(new)

    def _updated(self, pod: Obj) -> None:
        uid = uid_of(pod)
        self._objects[uid] = pod
        loop = self._loops.get(uid)
        if loop is None:
            self._start(pod)
        else:
            loop.update(pod, wake=not self._deps.statuses.is_own(pod))

    def _gone(self, uid: str) -> None:
        self._objects.pop(uid, None)
        loop = self._loops.get(uid)
        if loop is not None:
            loop.update(None)

    def _adopt_orphan(self, uid: str) -> None:
        """A pod of the runtime that the API does not have: it is ended and removed."""
        sandbox = self._deps.cache.get(uid).sandbox
        name = sandbox.pod_name if sandbox is not None else uid
        namespace = sandbox.pod_namespace if sandbox is not None else "default"
        log.info("pod without an object is ended", extra={"pod": f"{namespace}/{name}"})
        pod: Obj = {
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {"containers": []},
        }
        self._start(pod).update(None)

    def _start(self, pod: Obj) -> PodLoop:
        loop = PodLoop(self._deps, self._cgroups, pod, self.active)
        self._loops[loop.uid] = loop
        self._tasks.start(self._follow(loop), f"pod {loop.uid}")
        return loop

    async def _follow(self, loop: PodLoop) -> None:
        await loop.run()
        while True:
            try:
                await loop.clean_up()
                break
            except CriError as exc:
                log.info("pod not removed", extra={"uid": loop.uid, "why": exc.message})
                await asyncio.sleep(CLEAN_UP_RETRY_SECONDS)
        self._loops.pop(loop.uid, None)

    def _remove_left_directories(self) -> None:
        """Of pods that ended while no kubelet ran."""
        root = self._deps.config.root_dir / "pods"
        if not root.is_dir():
            return
        for folder in root.iterdir():
            if folder.name not in self._loops:
                tear_down(folder)
