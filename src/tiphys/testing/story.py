"""What happened, as text for a person whose test failed: writes, conditions, events.

The last writes are kept as they come; the rest is read from the objects when it is asked for.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.api.resources import GROUP_VERSIONS
from tiphys.lib.clock import Clock
from tiphys.storage.backend import Event
from tiphys.storage.store import ROOT

WRITES_MAX: Final = 5000  # Remembered; a story shows the last of them.
SHOWN_MAX: Final = 40
_ROUTINE: Final = ("leases/", "masterleases/")  # Renewed for ever: nobody reacts to them.
_QUIET: Final = ("events/", "leases/", "masterleases/")


_GROUPS: Final = frozenset(found.group for found in GROUP_VERSIONS)


class Write(NamedTuple):
    at: datetime
    key: str  # `deployments/default/web`
    verb: str  # created, changed, deleted
    version: str


class Story:
    """Notes writes; `changed` wakes who waits for the next one, in any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: set[str] = set()
        self.writes: deque[Write] = deque(maxlen=WRITES_MAX)
        self.count = 0
        self.changed = threading.Condition()

    def begin(self, keys: Iterable[str]) -> None:
        """The test's story starts here, with these keys in the store."""
        self.writes.clear()
        self._known = {_shown(key) for key in keys}

    def note(self, events: Sequence[Event]) -> bool:
        """Whether there was anything but routine."""
        now = self._clock.now()
        stirred = False
        for event in events:
            key = _shown(event.key)
            if event.value is None:
                verb = "deleted"
                self._known.discard(key)
            else:
                verb = "changed" if key in self._known else "created"
                self._known.add(key)
            stirred = stirred or not key.startswith(_ROUTINE)
            if not key.startswith(_QUIET):
                self.writes.append(Write(now, key, verb, str(event.revision)))
        with self.changed:
            self.count += 1
            self.changed.notify_all()
        return stirred


def _shown(key: str) -> str:
    """`deployments/default/web` of `/registry/apps/deployments/default/web`."""
    first, _, rest = key.removeprefix(ROOT).partition("/")
    return rest if first in _GROUPS else f"{first}/{rest}"


Objects = Callable[[str], Iterable[Obj]]
"""Plural -> the objects of that resource."""


def tell(story: Story, objects: Objects, now: datetime) -> str:
    """The story so far: what is not well, what was said of it, what was written last."""
    parts = [
        ("not well", [line for plural in _WATCHED for line in _troubles(plural, objects(plural))]),
        ("events", _events(objects("events"))),
        ("last writes", _writes(story.writes)),
    ]
    lines = [f"the cluster's time is {now:%Y-%m-%d %H:%M:%S}"]
    for title, found in parts:
        lines += [f"{title}:", *(f"  {line}" for line in (found or ["none"])[-SHOWN_MAX:])]
    return "\n".join(lines)


_WATCHED: Final = (
    "nodes",
    "pods",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "persistentvolumeclaims",
)
# Conditions that are bad news when they are not True; others are when they are.
_GOOD: Final = frozenset({"Ready", "Available", "Progressing", "PodScheduled", "Initialized"})
_BAD: Final = frozenset({"ReplicaFailure", "Failed", "MemoryPressure", "DiskPressure"})


def _troubles(plural: str, objects: Iterable[Obj]) -> list[str]:
    found: list[str] = []
    for obj in objects:
        phase = at(obj, "status", "phase", default="")
        if phase == "Succeeded":
            continue
        who = f"{plural}/{namespace_of(obj)}/{name_of(obj)}".replace("//", "/")
        words = [f"phase {phase}"] if phase in ("Pending", "Failed") else []
        words += [_condition(c) for c in at(obj, "status", "conditions", default=[]) if _is_bad(c)]
        words += _containers(obj)
        if words:
            found.append(f"{who}: " + "; ".join(words))
    return found


def _is_bad(condition: Obj) -> bool:
    kind, status = condition.get("type"), condition.get("status")
    return (kind in _GOOD and status != "True") or (kind in _BAD and status == "True")


def _condition(condition: Obj) -> str:
    reason, message = condition.get("reason", ""), condition.get("message", "")
    text = f"{condition['type']}={condition['status']}"
    return text + "".join(f" {word}" for word in (reason, message) if word)


def _containers(obj: Obj) -> list[str]:
    words = []
    for status in at(obj, "status", "containerStatuses", default=[]):
        waiting = at(status, "state", "waiting", "reason")
        code = at(status, "lastState", "terminated", "exitCode")
        if waiting:
            words.append(f"container {status['name']} waits: {waiting}")
        if code:
            count = status.get("restartCount", 0)
            words.append(f"container {status['name']} ended with {code}, restarts: {count}")
    return words


def _events(events: Iterable[Obj]) -> list[str]:
    ordered = sorted(events, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
    lines = []
    for event in ordered:
        about = event.get("involvedObject") or {}
        when = str(event.get("lastTimestamp") or event.get("eventTime") or "")[11:19]
        times = f" (x{event['count']})" if event.get("count", 1) > 1 else ""
        lines.append(
            f"{when} {event.get('type', '')} {event.get('reason', '')}"
            f" {str(about.get('kind', '')).lower()}/{about.get('name', '')}:"
            f" {event.get('message', '')}{times}"
        )
    return lines


def _writes(writes: Iterable[Write]) -> list[str]:
    return [f"{w.at:%H:%M:%S.%f}"[:12] + f" {w.verb} {w.key} @{w.version}" for w in writes]
