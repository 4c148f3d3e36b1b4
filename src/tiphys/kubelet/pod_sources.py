"""Config maps, secrets and tokens of this node's pods, live.

Each object that a pod refers to is watched for itself: a node may read only what its pods need.
Upstream: pkg/kubelet/util/manager/watch_based_manager.go, pkg/kubelet/token/token_manager.go.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    name_of,
    namespace_of,
    parse_time,
    uid_of,
)
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.kubelet.references import config_maps_of, secrets_of
from tiphys.kubelet.resources import (
    CLAIMS,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VOLUMES,
)
from tiphys.kubelet.volumes.payload import config_map_data, secret_data
from tiphys.kubelet.volumes.volume import VolumeError
from tiphys.lib.clock import Clock
from tiphys.lib.tasks import TaskSet

TOKEN_AGE_SHARE: Final = 0.8  # token_manager.go: renewed after 80 % of its life
TOKEN_AGE_SECONDS_MAX: Final = 24 * 3600.0  # or after a day (maxTTL)
_Key = tuple[GroupVersionResource, ObjectKey]


@dataclass(slots=True)
class _Watched:
    informer: Informer
    task: "asyncio.Task[None]"
    pods: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    renew_at: float


class PodSources:
    """Implements `volumes.volume.VolumeSources`; `changed` is called with a pod's uid."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[str], None]) -> None:
        self._client = client
        self._clock = clock
        self._changed = changed
        self._watched: dict[_Key, _Watched] = {}
        self._tasks = TaskSet()
        self._tokens: dict[tuple[str, str, int], _Token] = {}

    def register(self, pod: Obj) -> None:
        """Watch what the pod refers to; again with a changed pod, watch what it refers to now."""
        uid, namespace = uid_of(pod), namespace_of(pod)
        wanted: set[_Key] = {(CONFIG_MAPS, ObjectKey(namespace, n)) for n in config_maps_of(pod)}
        wanted |= {(SECRETS, ObjectKey(namespace, n)) for n in secrets_of(pod)}
        for key in wanted:
            self._entry(key).pods.add(uid)
        for key in [k for k, w in self._watched.items() if uid in w.pods and k not in wanted]:
            self._leave(key, uid)

    def unregister(self, uid: str) -> None:
        for key in [k for k, watched in self._watched.items() if uid in watched.pods]:
            self._leave(key, uid)
        for token in [t for t in self._tokens if t[0] == uid]:
            del self._tokens[token]

    async def close(self) -> None:
        await self._tasks.close()

    def _leave(self, key: _Key, uid: str) -> None:
        watched = self._watched[key]
        watched.pods.discard(uid)
        if not watched.pods:
            del self._watched[key]
            watched.task.cancel()

    def _entry(self, key: _Key) -> _Watched:
        watched = self._watched.get(key)
        if watched is None:
            gvr, (namespace, name) = key
            informer = Informer(
                self._client, gvr, namespace=namespace, field_selector=f"metadata.name={name}"
            )
            task = self._tasks.start(informer.run(), f"watch {gvr.resource} {namespace}/{name}")
            watched = self._watched[key] = _Watched(informer, task)
            informer.on_change(lambda old, new: self._tell(key))
        return watched

    def _tell(self, key: _Key) -> None:
        watched = self._watched.get(key)
        if watched is not None and watched.informer.has_synced:
            for uid in list(watched.pods):
                self._changed(uid)

    async def _get(self, gvr: GroupVersionResource, namespace: str, name: str) -> Obj | None:
        watched = self._watched.get((gvr, ObjectKey(namespace, name)))
        if watched is None:
            try:
                return await self._client.get(gvr, name, namespace)
            except NotFound:
                return None
        await watched.informer.synced()
        return watched.informer.get(ObjectKey(namespace, name))

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        return await self._get(CONFIG_MAPS, namespace, name)

    async def secret(self, namespace: str, name: str) -> Obj | None:
        return await self._get(SECRETS, namespace, name)

    async def claim(self, namespace: str, name: str) -> Obj | None:
        return await self._get(CLAIMS, namespace, name)

    async def persistent_volume(self, name: str) -> Obj | None:
        return await self._get(VOLUMES, "", name)

    async def token(self, pod: Obj, audience: str, seconds: int) -> str:
        """The pod's token, renewed in time. Raises VolumeError."""
        key = (uid_of(pod), audience, seconds)
        known = self._tokens.get(key)
        if known is not None and self._clock.monotonic() < known.renew_at:
            return known.text
        account = at(pod, "spec", "serviceAccountName", default="default")
        try:
            answer = await self._request_token(pod, account, audience, seconds)
        except ApiError as exc:
            if known is not None:
                return known.text
            raise VolumeError(f"failed to fetch token: {exc.message}") from exc
        expires = parse_time(answer["status"]["expirationTimestamp"])
        life = (expires - self._clock.now()).total_seconds()
        age = min(life * TOKEN_AGE_SHARE, TOKEN_AGE_SECONDS_MAX)
        token = _Token(answer["status"]["token"], self._clock.monotonic() + age)
        self._tokens[key] = token
        return token.text

    async def _request_token(self, pod: Obj, account: str, audience: str, seconds: int) -> Obj:
        reference = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": name_of(pod),
            "uid": uid_of(pod),
        }
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": reference,
            },
        }
        return await self._client.create(
            SERVICE_ACCOUNTS, request, namespace_of(pod), name=account, subresource="token"
        )

    async def snapshot(self, pod: Obj) -> "Snapshot":
        """What the pod's environment refers to, as it is now."""
        namespace = namespace_of(pod)
        maps = {n: await self.config_map(namespace, n) for n in config_maps_of(pod)}
        secrets = {n: await self.secret(namespace, n) for n in secrets_of(pod)}
        return Snapshot(maps, secrets)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Implements `environment.Sources`."""

    config_maps: dict[str, Obj | None]
    secrets: dict[str, Obj | None] = field(repr=False)

    def config_map(self, name: str) -> Obj | None:
        found = self.config_maps.get(name)
        if found is None:
            return None
        return {"data": {k: _text(v) for k, v in config_map_data(found).items()}}

    def secret(self, name: str) -> dict[str, str] | None:
        found = self.secrets.get(name)
        if found is None:
            return None
        return {key: _text(value) for key, value in secret_data(found).items()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
