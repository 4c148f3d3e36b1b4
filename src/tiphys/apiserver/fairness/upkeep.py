"""Keeps the FlowSchemas and levels of every cluster, and says which schemas name no level.

Upstream: pkg/registry/flowcontrol/ensurer, apiserver pkg/util/flowcontrol/apf_controller.go.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from tiphys.api.errors import AlreadyExists
from tiphys.api.meta import Obj, condition, rfc3339
from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.fairness.bootstrap_objects import (
    AUTO_UPDATE,
    MANDATORY,
    flow_schemas,
    priority_levels,
)
from tiphys.apiserver.fairness.fairness import GROUP, PREFIX
from tiphys.apiserver.writes import encoded
from tiphys.lib.clock import Clock
from tiphys.storage.backend import Event, KeyExists, RevisionMismatch
from tiphys.storage.store import Store

SCHEMAS: Final = "flowschemas"
LEVELS: Final = "prioritylevelconfigurations"
RETRY_SECONDS: Final = 1.0  # Another server was faster: its event is on the way.


class Change(NamedTuple):
    """An object to write: a new one, or one in place of what is there."""

    plural: str
    obj: Obj
    is_new: bool = False


def changes(schemas: Mapping[str, Obj], levels: Mapping[str, Obj], now: datetime) -> list[Change]:
    """What to write so that all is as it should be; objects by name. Pure."""
    found = [*_put_right(LEVELS, levels, priority_levels())]
    found += _put_right(SCHEMAS, schemas, flow_schemas())
    coming = {change.obj["metadata"]["name"] for change in found if change.plural == LEVELS}
    known = coming | levels.keys()
    found = [
        c._replace(obj=with_dangling(c.obj, known, now)) if c.plural == SCHEMAS else c
        for c in found
    ]
    written = {c.obj["metadata"]["name"] for c in found if c.plural == SCHEMAS}
    for name, schema in schemas.items():
        told = with_dangling(schema, known, now)
        if told is not schema and name not in written:
            found.append(Change(SCHEMAS, told))
    return found


def _put_right(plural: str, present: Mapping[str, Obj], wanted: Iterable[Obj]) -> list[Change]:
    found: list[Change] = []
    for obj in wanted:
        name = obj["metadata"]["name"]
        old = present.get(name)
        if old is None:
            found.append(Change(plural, obj, is_new=True))
        elif (name in MANDATORY or is_ours(old)) and old["spec"] != obj["spec"]:
            generation = old["metadata"].get("generation", 0) + 1
            metadata = old["metadata"] | {"generation": generation}
            found.append(Change(plural, old | {"metadata": metadata, "spec": obj["spec"]}))
    return found


def is_ours(obj: Obj) -> bool:
    """Whether nobody took the object over: its annotation says so, or it never changed."""
    said = (obj["metadata"].get("annotations") or {}).get(AUTO_UPDATE)
    if said in ("true", "false"):
        return bool(said == "true")
    return bool(obj["metadata"].get("generation") == 1)


def with_dangling(schema: Obj, levels: Iterable[str], now: datetime) -> Obj:
    """The schema with the condition that says whether its level is there; itself if it has it."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    is_there = level in set(levels)
    status, reason = ("False", "Found") if is_there else ("True", "NotFound")
    message = (
        f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
        + ("and it exists" if is_there else "but there is no such object")
    )
    old = condition(schema, "Dangling") or {}
    if old.get("status") == status and old.get("message") == message:
        return schema
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    new = {
        "type": "Dangling",
        "status": status,
        "lastTransitionTime": since or rfc3339(now),
        "reason": reason,
        "message": message,
    }
    others = [
        c
        for c in (schema.get("status") or {}).get("conditions") or ()
        if c.get("type") != "Dangling"
    ]
    return schema | {"status": (schema.get("status") or {}) | {"conditions": [*others, new]}}


class FairnessUpkeep:
    """Writes the changes, whenever an object of the group changed."""

    def __init__(
        self, store: Store, endpoints: Mapping[str, Endpoint], bootstrap: Bootstrap, clock: Clock
    ) -> None:
        """endpoints: by plural, both of them."""
        self._store = store
        self._endpoints = endpoints
        self._bootstrap = bootstrap
        self._clock = clock
        self._changed = asyncio.Event()

    def notice(self, events: Sequence[Event]) -> None:
        """Called with every committed batch."""
        if any(event.key.startswith(PREFIX) for event in events):
            self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            if not await self.put_right():
                await self._clock.sleep(RETRY_SECONDS)
                continue
            await self._changed.wait()

    async def put_right(self) -> bool:
        """Whether all changes could be written; they share an fsync."""
        wanted = changes(self._objects(SCHEMAS), self._objects(LEVELS), self._clock.now())
        return all(await asyncio.gather(*map(self._write, wanted)))

    def _objects(self, plural: str) -> dict[str, Obj]:
        endpoint = self._endpoints[plural]
        found = map(endpoint.decode, endpoint.cache.objects.values())
        return {obj["metadata"]["name"]: obj for obj in found}

    async def _write(self, change: Change) -> bool:
        if change.is_new:
            return await self._bootstrap.ensure(GROUP, change.plural, change.obj)
        endpoint = self._endpoints[change.plural]
        key = endpoint.key("", change.obj["metadata"]["name"])
        present = endpoint.cache.get(key)
        version = change.obj["metadata"].get("resourceVersion")
        if present is None or str(present.revision) != version:
            return False
        try:
            value = encoded(endpoint, change.obj)
            await self._store.update(endpoint.cache, key, value, present.revision)
        except (KeyExists, AlreadyExists, RevisionMismatch):
            return False
        return True
