"""Have a container's image on this node before the container is made.

Upstream: pkg/kubelet/images/image_manager.go (EnsureImageExists).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj, uid_of
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.kubelet.grpc_text import error_text
from tiphys.kubelet.image_name import ImageNameError, pull_policy, with_tag
from tiphys.kubelet.pod_events import NORMAL, WARNING, PodEvents
from tiphys.kubelet.restart import CrashBackOff
from tiphys.lib.clock import Clock

log = logging.getLogger(__name__)

PULLS_MAX: Final = 5  # At once; upstream pulls one at a time unless told otherwise.
INVALID_NAME: Final = "InvalidImageName"
ERR_PULL: Final = "ErrImagePull"
BACK_OFF: Final = "ImagePullBackOff"
NEVER_PULL: Final = "ErrImageNeverPull"
INSPECT: Final = "ImageInspectError"


class StartError(Exception):
    """Why a container is not started: becomes its waiting reason and message."""

    def __init__(self, reason: str, message: str, retry_seconds: float | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class Image:
    """An image on this node: the reference to start it by, and what the runtime says of it."""

    ref: str
    info: Obj = field(default_factory=dict)


class Images:
    def __init__(self, cri: CriClient, events: PodEvents, clock: Clock) -> None:
        self._cri = cri
        self._events = events
        self._clock = clock
        self._back_off = CrashBackOff()
        self._failed: dict[tuple[str, str], str] = {}
        self._pulling = asyncio.Semaphore(PULLS_MAX)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._back_off.forget(uid)
        for key in [k for k in self._failed if k[0] == uid]:
            del self._failed[key]

    async def ensure(self, pod: Obj, container: Obj, auth: Sequence[dict[str, str]] = ()) -> Image:
        """The container's image, pulled if its policy says so. Raises StartError."""
        name, image = container["name"], str(container.get("image", ""))
        try:
            ref = with_tag(image)
        except ImageNameError as exc:
            self._events.container(pod, name, WARNING, "InspectFailed", str(exc))
            raise StartError(INVALID_NAME, str(exc)) from exc
        info = await self._inspect(pod, container, ref)
        policy = pull_policy(container)
        if info is None and policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._events.container(pod, name, WARNING, NEVER_PULL, message)
            raise StartError(NEVER_PULL, message)
        if info is not None and policy != "Always":
            message = (
                f'Container image "{image}" already present on machine '
                "and can be accessed by the pod"
            )
            self._events.container(pod, name, NORMAL, "Pulled", message)
            return Image(info.get("id") or ref, info)
        return await self._pull(pod, container, ref, auth)

    async def _inspect(self, pod: Obj, container: Obj, ref: str) -> Obj | None:
        try:
            answer = await self._cri.call("ImageStatus", {"image": {"image": ref}})
        except CriError as exc:
            message = f'Failed to inspect image "{ref}": {error_text(exc)}'
            self._events.container(pod, container["name"], WARNING, "InspectFailed", message)
            raise StartError(INSPECT, message) from exc
        found: Obj | None = answer.get("image")
        return found if found and found.get("id") else None

    async def _pull(
        self, pod: Obj, container: Obj, ref: str, auth: Sequence[dict[str, str]]
    ) -> Image:
        name, image = container["name"], container["image"]
        key = (uid_of(pod), ref)
        now = self._clock.now().timestamp()
        wait = self._back_off.wait_seconds(key, self._back_off.since(key), now)
        if wait > 0:
            message = f'Back-off pulling image "{image}"'
            self._events.container(pod, name, NORMAL, "BackOff", message)
            last = self._failed.get(key, "")
            shown = f"{message}: {ERR_PULL}: {last}" if last else message
            raise StartError(BACK_OFF, shown, wait)
        self._events.container(pod, name, NORMAL, "Pulling", f'Pulling image "{image}"')
        asked = self._clock.monotonic()
        async with self._pulling:
            begun = self._clock.monotonic()
            try:
                answer = await self._pull_any(ref, auth)
            except CriError as exc:
                raise self._pull_failed(pod, name, image, key, error_text(exc)) from exc
        ended = self._clock.monotonic()
        self._failed.pop(key, None)
        info = await self._inspect(pod, container, ref) or {}
        size = int(info.get("size", 0))
        message = (
            f'Successfully pulled image "{image}" in {go_duration(ended - begun)} '
            f"({go_duration(ended - asked)} including waiting). Image size: {size} bytes."
        )
        self._events.container(pod, name, NORMAL, "Pulled", message)
        return Image(answer.get("image_ref") or info.get("id") or ref, info)

    async def _pull_any(self, ref: str, auth: Sequence[dict[str, str]]) -> dict[str, Any]:
        """With each credential in turn, or without one. Raises CriError, the last one's."""
        failed: CriError | None = None
        for credential in auth or ({},):
            request: dict[str, Any] = {"image": {"image": ref}}
            if credential:
                request["auth"] = dict(credential)
            try:
                # A big image over a slow line takes as long as it takes.
                return await self._cri.call("PullImage", request, timeout_seconds=None)
            except CriError as exc:
                failed = exc
        assert failed is not None
        raise failed

    def _pull_failed(
        self, pod: Obj, name: str, image: str, key: tuple[str, str], why: str
    ) -> StartError:
        now = self._clock.now().timestamp()
        self._back_off.next(key, now)
        self._failed[key] = why
        self._events.container(
            pod, name, WARNING, "Failed", f'Failed to pull image "{image}": {why}'
        )
        return StartError(ERR_PULL, why, self._back_off.current_seconds(key))


def go_duration(seconds: float) -> str:
    """As Go prints a duration of whole milliseconds: `1.234s`, `56ms`, `1m2.5s`."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{minutes}m{text}" if minutes else text
