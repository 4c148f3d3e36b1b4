"""The runtime's state by pod, kept fresh by its events or, where it has none, by listing.

Upstream: pkg/kubelet/pleg (evented.go, generic.go).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.runtime_state import EMPTY, POD_UID, PodRuntime, pod_runtime

log = logging.getLogger(__name__)

RELIST_SECONDS: Final = 1.0  # generic.go: genericPlegRelistPeriod
RELIST_WITH_EVENTS_SECONDS: Final = 60.0  # Events can be lost; upstream relists every 300 s.
RETRY_SECONDS: Final = 0.5


class RuntimeCache:
    """`changed` is called with the uid of a pod whose state differs from before."""

    def __init__(self, cri: CriClient, changed: Callable[[str], None]) -> None:
        self._cri = cri
        self._changed = changed
        self._pods: dict[str, PodRuntime] = {}
        self._prints: dict[str, tuple[Any, ...]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self.has_events = False
        self.relisted = asyncio.Event()

    def get(self, uid: str) -> PodRuntime:
        return self._pods.get(uid, EMPTY)

    def uids(self) -> list[str]:
        return list(self._pods)

    async def refresh(self, uid: str) -> PodRuntime:
        """Ask the runtime for one pod. Raises CriError."""
        # One at a time for each pod, or an older answer could replace a newer one.
        lock = self._locks.setdefault(uid, asyncio.Lock())
        async with lock:
            selector = {"filter": {"label_selector": {POD_UID: uid}}}
            sandboxes = (await self._cri.call("ListPodSandbox", selector)).get("items", [])
            containers = (await self._cri.call("ListContainers", selector)).get("containers", [])
            state = await self._statuses(sandboxes, containers)
            self._prints[uid] = _fingerprint(sandboxes, containers)
            self._set(uid, state)
        return state

    def _set(self, uid: str, state: PodRuntime) -> None:
        if state == EMPTY:
            self._pods.pop(uid, None)
            self._prints.pop(uid, None)
            self._locks.pop(uid, None)
        else:
            self._pods[uid] = state

    async def _statuses(
        self, sandboxes: list[dict[str, Any]], containers: list[dict[str, Any]]
    ) -> PodRuntime:
        found_sandboxes, found_containers = [], []
        for sandbox in sandboxes:
            request = {"pod_sandbox_id": sandbox["id"]}
            if status := await self._status("PodSandboxStatus", request):
                found_sandboxes.append(status)
        for container in containers:
            request = {"container_id": container["id"]}
            if status := await self._status("ContainerStatus", request):
                found_containers.append(status)
        return pod_runtime(found_sandboxes, found_containers)

    async def _status(self, method: str, request: Mapping[str, str]) -> dict[str, Any] | None:
        """None for what has gone since it was listed."""
        try:
            answer = await self._cri.call(method, request)
        except CriError as exc:
            if exc.code == "NOT_FOUND":
                return None
            raise
        status: dict[str, Any] | None = answer.get("status")
        return status

    async def relist(self) -> None:
        """Look at every pod; ask closely for those whose list entries changed. Raises CriError."""
        sandboxes = _by_uid((await self._cri.call("ListPodSandbox", {})).get("items", []))
        containers = _by_uid((await self._cri.call("ListContainers", {})).get("containers", []))
        for uid in sandboxes.keys() | containers.keys() | self._pods.keys():
            seen = _fingerprint(sandboxes.get(uid, []), containers.get(uid, []))
            if seen != self._prints.get(uid, ((), ())):
                before = self.get(uid)
                if await self.refresh(uid) != before:
                    self._changed(uid)
        self.relisted.set()

    async def run_relist(self) -> None:
        """Relist until cancelled; often only while there are no events."""
        waited = 0.0
        while True:
            if not self.has_events or waited >= RELIST_WITH_EVENTS_SECONDS:
                waited = 0.0
                try:
                    await self.relist()
                except CriError as exc:
                    log.info("runtime not listed", extra={"why": exc.message})
            await asyncio.sleep(RELIST_SECONDS)
            waited += RELIST_SECONDS

    async def run_events(self) -> None:
        """Follow the runtime's events until cancelled, or return where it has none."""
        while True:
            try:
                self.has_events = True
                events = self._cri.events()
                await self.relist()  # What happened while nobody listened.
                async for event in events:
                    await self._handle(event)
            except CriError as exc:
                self.has_events = False
                if exc.code == "UNIMPLEMENTED":
                    log.info("the runtime has no events, listing it instead")
                    return
                log.info("runtime events broke off", extra={"why": exc.message})
            await asyncio.sleep(RETRY_SECONDS)

    async def _handle(self, event: Mapping[str, Any]) -> None:
        status = event.get("pod_sandbox_status") or {}
        uid = (status.get("metadata") or {}).get("uid", "")
        if not uid:
            await self.relist()
            return
        before = self.get(uid)
        if await self.refresh(uid) != before:
            self._changed(uid)


def _by_uid(items: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        uid = (item.get("labels") or {}).get(POD_UID, "")
        if uid:
            found.setdefault(uid, []).append(item)
    return found


def _fingerprint(
    sandboxes: list[dict[str, Any]], containers: list[dict[str, Any]]
) -> tuple[Any, ...]:
    return (
        tuple(sorted((s["id"], str(s.get("state", ""))) for s in sandboxes)),
        tuple(sorted((c["id"], str(c.get("state", ""))) for c in containers)),
    )
