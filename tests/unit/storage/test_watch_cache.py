"""The watch cache: objects, window, watchers, one encoding for all."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from tiphys.storage.backend import Compacted, Event, KeyValue
from tiphys.storage.cached_object import CachedObject, encode_head, encode_value
from tiphys.storage.watch_cache import WATCHER_BYTES_MAX, Filter, View, WatchCache, Watcher

PREFIX = "/registry/configmaps/"
HEAD = encode_head("v1", "ConfigMap")


class Sink:
    """A client that takes bytes while `writable`."""

    def __init__(self) -> None:
        self.writable = True
        self.closed = False
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def abort(self) -> None:
        self.closed = True

    def seen(self) -> list[tuple[str, str, str]]:
        lines = b"".join(self.writes).splitlines()
        return [_shown(orjson.loads(line)) for line in lines]


def _shown(event: Any) -> tuple[str, str, str]:
    metadata = event["object"]["metadata"]
    return event["type"], metadata["name"], metadata["resourceVersion"]


def index(obj: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return obj["metadata"].get("labels", {}), {"metadata.name": obj["metadata"]["name"]}


def a_cache() -> WatchCache:
    cache = WatchCache(PREFIX, HEAD, index)
    cache.load([], 1)
    return cache


def put(name: str, revision: int, size: int = 0, **labels: str) -> Event:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
    if size:
        obj["data"] = {"x": "y" * size}
    return Event(f"{PREFIX}default/{name}", encode_value(obj), revision)


def gone(name: str, revision: int) -> Event:
    return Event(f"{PREFIX}default/{name}", None, revision)


VIEW = View(lambda cached: HEAD + cached.tail)


def watching(
    cache: WatchCache, after: int, wanted: Filter | None = None, label: str = ""
) -> tuple[Watcher, Sink]:
    sink = Sink()
    watcher = Watcher(sink, VIEW)
    matches = (lambda labels, fields: label in labels) if label else None
    cache.watch(watcher, wanted or Filter(PREFIX, text=label), matches, after)
    watcher.release()
    return watcher, sink


def test_a_revision_is_spliced_into_the_stored_bytes() -> None:
    cache = a_cache()
    cache.apply([put("a", 7)])
    cached = cache.get(f"{PREFIX}default/a")
    assert cached is not None
    assert cached.decode(HEAD) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "name": "a", "labels": {}},
    }


def test_a_batch_reaches_a_watcher_as_one_write() -> None:
    cache = a_cache()
    _, sink = watching(cache, 1)
    cache.apply([put("a", 2), put("b", 3), put("a", 4), gone("b", 5)])
    assert len(sink.writes) == 1
    assert sink.seen() == [
        ("ADDED", "a", "2"),
        ("ADDED", "b", "3"),
        ("MODIFIED", "a", "4"),
        ("DELETED", "b", "5"),
    ]


def test_an_event_is_encoded_once_for_all_watchers() -> None:
    cache = a_cache()
    sinks = [watching(cache, 1)[1] for _ in range(3)]
    cache.apply([put("a", 2)])
    assert len({id(sink.writes[0]) for sink in sinks}) == 1


def test_objects_enter_and_leave_a_selection() -> None:
    cache = a_cache()
    _, sink = watching(cache, 1, label="x")
    cache.apply([put("a", 2)])
    cache.apply([put("a", 3, x="1")])
    cache.apply([put("a", 4, x="2")])
    cache.apply([put("a", 5)])
    cache.apply([gone("a", 6)])
    assert sink.seen() == [("ADDED", "a", "3"), ("MODIFIED", "a", "4"), ("DELETED", "a", "5")]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(PREFIX), ["a", "b"]),
        (Filter(f"{PREFIX}default/"), ["a", "b"]),
        (Filter(f"{PREFIX}other/"), []),
        (Filter(f"{PREFIX}default/a", exact=True), ["a"]),
    ],
)
def test_keys_are_filtered(wanted: Filter, names: list[str]) -> None:
    cache = a_cache()
    _, sink = watching(cache, 1, wanted)
    cache.apply([put("a", 2), put("b", 3)])
    assert [name for _, name, _ in sink.seen()] == names


def test_a_watch_starts_in_the_past_as_far_as_the_window_goes() -> None:
    cache = a_cache()
    cache.load([], 10)
    cache.apply([put("a", 11), put("b", 12)])
    assert watching(cache, 11)[1].seen() == [("ADDED", "b", "12")]
    with pytest.raises(Compacted):
        watching(cache, 9)


def test_a_client_that_does_not_read_is_dropped_and_others_go_on() -> None:
    cache = a_cache()
    _, slow = watching(cache, 1)
    _, quick = watching(cache, 1)
    slow.writable = False
    big = WATCHER_BYTES_MAX // 3
    for revision in range(2, 7):
        cache.apply([put("a", revision, big)])
    assert slow.closed
    assert not quick.closed
    assert len(quick.seen()) == 5


def test_a_client_that_is_still_listing_has_the_same_bound() -> None:
    cache = a_cache()
    sink = Sink()
    cache.watch(Watcher(sink, VIEW), Filter(PREFIX), None, 1)  # Held: never released.
    for revision in range(2, 6):
        cache.apply([put("a", revision, WATCHER_BYTES_MAX // 3)])
    assert sink.closed
    assert sink.writes == []


def test_after_a_restart_the_last_write_is_the_snapshots() -> None:
    cache = WatchCache(PREFIX, HEAD, index)
    item = put("a", 3)
    assert item.value is not None
    cache.load([KeyValue(item.key, item.value, 3)], 9)
    assert cache.changed_at == 9, "a deletion after revision 3 leaves no object to tell of it"


def test_a_slow_client_gets_what_waited_when_it_reads_again() -> None:
    cache = a_cache()
    watcher, sink = watching(cache, 1)
    sink.writable = False
    cache.apply([put("a", 2)])
    cache.apply([put("a", 3)])
    assert sink.writes == []
    sink.writable = True
    watcher.flush()
    assert len(sink.writes) == 1
    assert len(sink.seen()) == 2


def test_a_view_that_fails_drops_its_watcher_only() -> None:
    cache = a_cache()
    sink = Sink()

    def broken(cached: CachedObject) -> bytes:
        raise RuntimeError("a bug")

    bad = Watcher(sink, View(broken))
    cache.watch(bad, Filter(PREFIX), None, 1)
    bad.release()
    _, good = watching(cache, 1)
    cache.apply([put("a", 2)])
    assert sink.closed
    assert good.seen() == [("ADDED", "a", "2")]


def test_an_object_in_another_form_is_adopted_and_rubbish_is_left_out() -> None:
    cache = a_cache()
    other = b'{"apiVersion":"v0","kind":"ConfigMap","metadata":{"name":"a"}}'
    items = [KeyValue(f"{PREFIX}default/a", other, 2), KeyValue(f"{PREFIX}default/b", b"x", 3)]
    cache.load(items, 3)
    assert [o.decode(HEAD)["apiVersion"] for o in cache.range(PREFIX)] == ["v1"]


def test_lists_are_in_the_order_of_keys() -> None:
    cache = a_cache()
    cache.apply([put("b", 2), put("a", 3), put("c", 4)])
    keys = [o.key.rpartition("/")[2] for o in cache.range(PREFIX)]
    assert keys == ["a", "b", "c"]
    assert [o.key[-1] for o in cache.range(PREFIX, f"{PREFIX}default/b")] == ["b", "c"]


def test_only_a_streams_first_event_has_its_own_view() -> None:
    cache = a_cache()
    sink = Sink()
    first = View(VIEW.show, frame=lambda kind, obj: b"first " + kind.encode() + b"\n")
    later = View(VIEW.show, frame=lambda kind, obj: kind.encode() + b"\n")
    watcher = Watcher(sink, first, later)
    cache.watch(watcher, Filter(PREFIX), None, 1)
    watcher.release()
    cache.apply([put("a", 2), put("a", 3)])
    cache.apply([gone("a", 4)])
    assert b"".join(sink.writes).splitlines() == [b"first ADDED", b"MODIFIED", b"DELETED"]
