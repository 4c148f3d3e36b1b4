"""All objects of one resource in memory, the recent events, and who watches them.

A committed batch enters the objects, the window of recent events and every watcher's queue in one
step of the event loop. An event is encoded once for all watchers that see the same view of it, and
what is pending for a watcher goes out as one write. A watcher that does not read is dropped.
Upstream: apiserver pkg/storage/cacher (watch_cache.go, cache_watcher.go).
"""

import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from tiphys.api.meta import Obj
from tiphys.storage.backend import Compacted, Event, KeyValue, StorageError, prefix_end
from tiphys.storage.cached_object import CachedObject, adopt, respliced, splice

log = logging.getLogger(__name__)

WINDOW_EVENTS_MAX: Final = 10_000  # Upstream grows to 102,400 (defaultUpperBoundCapacity).
WINDOW_BYTES_MAX: Final = 32 * 1024 * 1024
WATCHER_BYTES_MAX: Final = 16 * 1024 * 1024  # Pending for one client that does not read.

Index = Callable[[Obj], tuple[Mapping[str, str], Mapping[str, str]]]
"""An object's labels and selectable fields."""
Matches = Callable[[Mapping[str, str], Mapping[str, str]], bool]
"""(labels, fields) -> wanted."""


class Sink(Protocol):
    """Where a watcher's bytes go (lib.http.flow.BodyWriter)."""

    @property
    def writable(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which objects a watcher wants: keys under a prefix (or one key), and a selector.

    `text` names the selector: watchers with equal filters are asked once per event.
    """

    prefix: str
    exact: bool = False
    text: str = ""


def encode_event(kind: str, obj: bytes) -> bytes:
    """An event as a line of JSON."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a watcher wants its events. Watchers with one view share what it returns.

    `show` gives an object's bytes, `encode` those of what is not in the cache (bookmarks, errors),
    `frame` an event's, of its type and one of these.
    """

    show: Callable[[CachedObject], bytes]
    encode: Callable[[Obj], bytes] = orjson.dumps
    frame: Callable[[str, bytes], bytes] = encode_event


class CacheEvent:
    """One write: the object before and after.

    Encoded forms are kept by (type, view) while all watchers are told, not as long as the event:
    ten thousand of them were as much memory as the objects.
    """

    __slots__ = ("_encoded", "_gone", "new", "old", "revision")

    def __init__(self, old: CachedObject | None, new: CachedObject | None, revision: int) -> None:
        self.old = old
        self.new = new
        self.revision = revision
        self._gone: CachedObject | None = None
        self._encoded: dict[tuple[str, View], bytes] = {}

    @property
    def key(self) -> str:
        shown = self.new or self.old
        return shown.key if shown else ""

    def gone(self) -> CachedObject | None:
        """The object before, under this event's revision."""
        if self._gone is None and self.old is not None:
            self._gone = respliced(self.old, self.revision)
        return self._gone

    def encode(self, kind: str, view: View) -> bytes:
        """The event as it is written to a watch stream."""
        known = self._encoded.get((kind, view))
        if known is None:
            shown = self.gone() if kind == "DELETED" else self.new
            known = view.frame(kind, view.show(shown)) if shown else b""
            self._encoded[kind, view] = known
        return known

    def told(self) -> None:
        """All watchers have it: who comes later has it encoded anew."""
        self._encoded.clear()
        self._gone = None


class Watcher:
    """One client's stream. Held until `release`, so that its initial objects go out first."""

    def __init__(self, sink: Sink, view: View, later: View | None = None) -> None:
        """`view` is the next event's; `later` that of all but the first, where they differ."""
        self.view = view
        self._later = later
        self._sink = sink
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._held = True

    def begun(self) -> None:
        """The first event is on its way."""
        if self._later is not None:
            self.view, self._later = self._later, None

    def push(self, data: bytes) -> None:
        if self._later is not None:
            self.begun()
        self._pending.append(data)
        self._pending_bytes += len(data)

    def flush(self) -> None:
        """Write what is pending, if the client takes it; drop a client that never does."""
        if not self._pending:
            return
        if self._sink.writable and not self._held:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            self._sink.write(data)
        elif self._pending_bytes > WATCHER_BYTES_MAX:
            self.drop()

    def drop(self) -> None:
        """End the stream: the client will list and watch again."""
        self._pending.clear()
        self._pending_bytes = 0
        self._sink.abort()

    def release(self) -> None:
        self._held = False
        self.flush()


class _Group:
    """Watchers with one filter."""

    def __init__(self, wanted: Filter, matches: Matches | None) -> None:
        self.wanted = wanted
        self.matches = matches
        self.watchers: dict[Watcher, None] = {}


class WatchCache:
    """See the module. `head` is what each object begins with, `index` reads labels and fields."""

    def __init__(self, prefix: str, head: bytes, index: Index, *, adopts: bool = False) -> None:
        """`adopts`: objects may be stored in several versions, which differ in name only."""
        self._adopts = adopts
        self.prefix = prefix
        self.head = head
        self.objects: dict[str, CachedObject] = {}
        self.changed_at = 0  # Revision of the last write of this resource.
        self._index = index
        self._sorted: list[str] = []
        self._sorted_is_stale = False
        self._window: deque[CacheEvent] = deque()
        self._window_bytes = 0
        self._oldest = 0  # Events after this revision are all in the window.
        self._groups: dict[Filter, _Group] = {}

    def load(self, items: Sequence[KeyValue], revision: int) -> None:
        """Start from a snapshot at a revision."""
        for item in items:
            try:
                self.objects[item.key] = splice(item.key, item.value, item.revision, self.head)
            except StorageError as error:
                self._load_foreign(item, error)
        self._sorted_is_stale = True
        self._oldest = revision
        self.changed_at = revision  # A delete may have been the last write.

    def _taken(self, key: str, value: bytes, revision: int) -> CachedObject:
        """An object of an event; one that is stored in another version where that may be."""
        if not self._adopts or value.startswith(self.head):
            return splice(key, value, revision, self.head)
        return adopt(key, value, revision, self.head)

    def _load_foreign(self, item: KeyValue, error: StorageError) -> None:
        """An object in another form must not keep the server from starting."""
        try:
            adopted = adopt(item.key, item.value, item.revision, self.head)
        except StorageError:
            log.error("object not readable", extra={"key": item.key, "why": error})
        else:
            if not self._adopts:
                log.warning("object stored in another form", extra={"key": item.key})
            self.objects[item.key] = adopted

    def reshape(self, head: bytes, index: Index) -> None:
        """Objects are shown and selected otherwise from now on; who watches begins anew."""
        self.head = head
        self._index = index
        for obj in self.objects.values():
            obj.labels = obj.fields = None
        self._window.clear()
        self._window_bytes = 0
        self._oldest = self.changed_at
        self.drop_watchers()

    def drop_watchers(self) -> None:
        for group in list(self._groups.values()):
            for watcher in list(group.watchers):
                watcher.drop()
        self._groups.clear()

    # --- reading

    def get(self, key: str) -> CachedObject | None:
        return self.objects.get(key)

    def keys(self, prefix: str, start: str = "") -> list[str]:
        """Keys under a prefix, from start on, in order."""
        if self._sorted_is_stale:
            self._sorted = sorted(self.objects)
            self._sorted_is_stale = False
        if not start and prefix == self.prefix:
            return self._sorted
        first = bisect_left(self._sorted, max(prefix, start))
        return self._sorted[first : bisect_left(self._sorted, prefix_end(prefix), first)]

    def range(self, prefix: str, start: str = "") -> list[CachedObject]:
        """Objects under a prefix, from start on, in the order of their keys."""
        objects = self.objects
        return [objects[key] for key in self.keys(prefix, start)]

    def is_selected(self, obj: CachedObject, matches: Matches) -> bool:
        if obj.labels is None or obj.fields is None:
            obj.labels, obj.fields = self._index(obj.decode(self.head))
        return matches(obj.labels, obj.fields)

    def spliced(self, key: str, value: bytes, revision: int) -> CachedObject:
        """A stored value in the cache's form."""
        return self._taken(key, value, revision)

    # --- writing

    def apply(self, events: Sequence[Event]) -> None:
        """Take in a part of a committed batch: objects, window and watchers, in one step."""
        touched: dict[Watcher, None] = {}
        for event in events:
            old = self.objects.get(event.key)
            if event.value is None:
                new = None
                if self.objects.pop(event.key, None) is not None:
                    self._sorted_is_stale = True
            else:
                new = self._taken(event.key, event.value, event.revision)
                self.objects[event.key] = new
                self._sorted_is_stale = self._sorted_is_stale or old is None
            if old is not None or new is not None:
                self._remember(CacheEvent(old, new, event.revision), touched)
            self.changed_at = event.revision
        for watcher in touched:
            watcher.flush()

    def _remember(self, event: CacheEvent, touched: dict[Watcher, None]) -> None:
        self._window.append(event)
        self._window_bytes += len(event.new.tail) if event.new else 0
        while len(self._window) > WINDOW_EVENTS_MAX or self._window_bytes > WINDOW_BYTES_MAX:
            dropped = self._window.popleft()
            self._window_bytes -= len(dropped.new.tail) if dropped.new else 0
            self._oldest = dropped.revision
        for group in self._groups.values():
            kind = self._kind_for(event, group.wanted, group.matches)
            if kind:
                self._push(event, kind, group, touched)
        event.told()

    def _push(
        self, event: CacheEvent, kind: str, group: "_Group", touched: dict[Watcher, None]
    ) -> None:
        for watcher in list(group.watchers):
            try:
                watcher.push(event.encode(kind, watcher.view))
            except Exception:  # a view's bug must not keep a committed write from others
                log.exception("watcher dropped", extra={"key": event.key})
                group.watchers.pop(watcher, None)
                watcher.drop()
            else:
                touched[watcher] = None

    def _kind_for(self, event: CacheEvent, wanted: Filter, matches: Matches | None) -> str:
        """What the event is for a watcher: an object may enter or leave its selection."""
        key = event.key
        if key != wanted.prefix if wanted.exact else not key.startswith(wanted.prefix):
            return ""
        if matches is None:
            return "DELETED" if event.new is None else "MODIFIED" if event.old else "ADDED"
        was = event.old is not None and self.is_selected(event.old, matches)
        now = event.new is not None and self.is_selected(event.new, matches)
        if now:
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else ""

    # --- watching

    def watch(
        self, watcher: Watcher, wanted: Filter, matches: Matches | None, after_revision: int
    ) -> Callable[[], None]:
        """Tell the watcher of every event after a revision; returns the way to stop.

        Raises Compacted when events that old are no longer kept.
        """
        if after_revision < self._oldest:
            raise Compacted(after_revision, self._oldest)
        for event in self._window:
            if event.revision > after_revision:
                kind = self._kind_for(event, wanted, matches)
                if kind:
                    watcher.push(event.encode(kind, watcher.view))
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = _Group(wanted, matches)
        group.watchers[watcher] = None

        def stop() -> None:
            group.watchers.pop(watcher, None)
            if not group.watchers and self._groups.get(wanted) is group:
                del self._groups[wanted]

        return stop

    @property
    def watcher_count(self) -> int:
        return sum(len(g.watchers) for g in self._groups.values())
