"""ResourceQuota: no write takes more of a namespace than its quotas allow.

`validate` compares a write with what the quotas say is used, as every plugin does. `charges` then
put the write's part on the quotas' statuses, by compare-and-swap, before the object is stored:
of two servers that find room for one object each, one finds the quota changed and asks again.
A write that fails after that gives its part back; whatever is still wrong then the quota
controller puts right.
Upstream: apiserver pkg/admission/plugin/resourcequota (admission.go, controller.go),
pkg/quota/v1/evaluator/core/pods.go (Constraints).
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Final
from weakref import WeakValueDictionary

from tiphys.api import quantity
from tiphys.api import quota_usage as usage
from tiphys.api.meta import Obj, at, name_of
from tiphys.api.quota_usage import Usage
from tiphys.apiserver.admission.chain import ALL, Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.lib.clock import Clock
from tiphys.storage.backend import RevisionMismatch, StorageError
from tiphys.storage.cached_object import CachedObject, encode_value
from tiphys.storage.store import Store
from tiphys.storage.watch_cache import WatchCache

log = logging.getLogger(__name__)

TRIES_MAX: Final = 100  # Against other servers that charge the same quota.
# What every container of a pod must name where a quota limits it.
# Source: validationSet of pods.go.
EXPLICIT: Final = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")
)
# Their use may grow when they are changed; of others only the making counts.
_CHANGING: Final = frozenset({("", "services", ""), ("", "persistentvolumeclaims", "")})
COUNTED_KINDS: Final = frozenset({"Pod", "Service", "PersistentVolumeClaim"})
_UNCOUNTED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})


class ResourceQuota:
    name = "ResourceQuota"
    resources: Resources = ALL

    def __init__(self, quotas: WatchCache, store: Store, clock: Clock) -> None:
        self._quotas = quotas
        self._store = store
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def validate(self, write: Write) -> None:
        """Raises Forbidden."""
        if not self._quotas.objects or not is_counted(write):
            return
        more = self._more(write)
        for _, quota in self._concerned(write):
            wanted_part(write, quota, more)

    def charges(self) -> "Charges":
        """For one write, from before it is stored until it is."""
        return Charges(self)

    async def take(self, write: Write, taken: dict[str, Usage]) -> None:
        """Count a write, and note by quota what. Raises Forbidden, StorageError."""
        if not self._quotas.objects or write.is_dry_run or not is_counted(write):
            return
        more = self._more(write)
        turn = self._turns.setdefault(write.info.namespace, asyncio.Lock())
        async with turn:
            for key in [cached.key for cached, _ in self._concerned(write)]:
                taken[key] = await self._take(write, key, more)

    def _more(self, write: Write) -> Usage:
        info, now = write.info, self._clock.now()
        assert write.obj is not None
        found = usage.object_usage(write.obj, info.group, info.resource, now)
        if write.operation == "UPDATE" and write.old is not None:
            before = usage.object_usage(write.old, info.group, info.resource, now)
            found = {n: v - before.get(n, usage.NONE) for n, v in found.items()}
        return {name: value for name, value in found.items() if value.nanos > 0}

    def _concerned(self, write: Write) -> Iterator[tuple[CachedObject, Obj]]:
        """The namespace's quotas whose scopes take the object."""
        assert write.obj is not None
        for cached in self._quotas.range(f"{self._quotas.prefix}{write.info.namespace}/"):
            quota = cached.decode(self._quotas.head)
            if usage.is_in_scopes(quota, write.obj, write.info.resource):
                yield cached, quota

    async def _take(self, write: Write, key: str, more: Usage) -> Usage:
        for _ in range(TRIES_MAX):
            cached = self._quotas.get(key)
            if cached is None:
                return {}  # Deleted meanwhile: it limits nothing.
            quota = cached.decode(self._quotas.head)
            part = wanted_part(write, quota, more)
            if not part or await self.add(cached, quota, part):
                return part
        raise StorageError(f"{key} changes too often")

    async def add(self, cached: CachedObject, quota: Obj, part: Usage) -> bool:
        """Put a part on what is used; False when somebody else wrote the quota."""
        status: Obj = quota["status"]
        used = _amounts(status.get("used"))
        usage.add(used, part)
        status["used"] = {name: str(value) for name, value in used.items()}
        try:
            value = encode_value(quota)
            await self._store.update(self._quotas, cached.key, value, cached.revision)
        except RevisionMismatch as mismatch:
            await self._store.caught_up(self._quotas, cached.key, mismatch.actual)
            return False
        return True

    async def subtract(self, key: str, part: Usage) -> None:
        """Give a part back. What cannot be is left to the quota controller."""
        negative = {name: quantity.Quantity(-v.nanos, v.format) for name, v in part.items()}
        try:
            for _ in range(TRIES_MAX):
                cached = self._quotas.get(key)
                if cached is None:
                    return
                if await self.add(cached, cached.decode(self._quotas.head), negative):
                    return
        except StorageError as error:
            log.warning("quota not given back", extra={"quota": key, "why": error})


class Charges:
    """What one write was counted for, by the quota's key; given back when the block fails."""

    def __init__(self, plugin: ResourceQuota) -> None:
        self._plugin = plugin
        self._taken: dict[str, Usage] = {}

    async def take(self, write: Write) -> None:
        """Count the write, instead of what an earlier try was. Raises Forbidden, StorageError."""
        await self._give_back()
        await self._plugin.take(write, self._taken)

    async def __aenter__(self) -> "Charges":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            await self._give_back()

    async def _give_back(self) -> None:
        for key, part in self._taken.items():
            if part:
                await self._plugin.subtract(key, part)
        self._taken.clear()


def is_counted(write: Write) -> bool:
    """Whether quotas look at such a write at all."""
    info = write.info
    if write.obj is None or not info.namespace or (info.group, info.resource) in _UNCOUNTED:
        return False
    if write.operation == "UPDATE":
        key = (info.group, info.resource, info.subresource)
        return key in _CHANGING or key == ("", "pods", "resize")
    is_own = info.group == "" and info.resource == "namespaces"
    return write.operation == "CREATE" and not info.subresource and not is_own


def wanted_part(write: Write, quota: Obj, more: Usage) -> Usage:
    """What of a write counts against a quota. Raises Forbidden.

    Upstream: CheckRequest in controller.go. The status counts, not the spec: a quota that the
    controller has not seen yet limits nothing.
    """
    hard = _amounts(at(quota, "status", "hard"))
    used = _amounts(at(quota, "status", "used"))
    info, name = write.info, name_of(quota)
    own = sorted(n for n in hard if usage.resource_of(n) == (info.group, info.resource))
    if info.resource == "pods" and not info.group and write.obj is not None:
        why = unspecified(write.obj, EXPLICIT.intersection(own))
        if why:
            raise refuse(write, f"failed quota: {name}: {why}")
    if unknown := [n for n in own if n not in used]:
        raise refuse(write, f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    part = {n: v for n, v in more.items() if n in hard and n in own}
    exceeded = sorted(n for n, v in part.items() if hard[n] < used[n] + v)
    if exceeded:
        shown = [",".join(f"{n}={of[n]}" for n in exceeded) for of in (part, used, hard)]
        text = f"exceeded quota: {name}, requested: {shown[0]}, used: {shown[1]}"
        raise refuse(write, f"{text}, limited: {shown[2]}")
    return part


def unspecified(pod: Obj, required: frozenset[str]) -> str:
    """What a quota demands and containers leave out, in upstream's words."""
    spec: Obj = pod.get("spec") or {}
    missing: dict[str, set[str]] = {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        named = _named(container) | _named(spec)
        for name in required - named:
            missing.setdefault(name, set()).add(str(container.get("name", "")))
    if not missing:
        return ""
    parts = [f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing)]
    return f"must specify {'; '.join(parts)}"


def _named(holder: Obj) -> set[str]:
    requests = at(holder, "resources", "requests", default={})
    limits = at(holder, "resources", "limits", default={})
    return {*requests, *(f"requests.{n}" for n in requests), *(f"limits.{n}" for n in limits)}


def _amounts(given: Mapping[str, object] | None) -> Usage:
    return {name: quantity.of(value) for name, value in (given or {}).items()}
