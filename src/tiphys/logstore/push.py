"""Lines that others push, as batches of the store: Loki's JSON, and what joined nodes send. Pure.

Source: Grafana Loki, HTTP API (POST /loki/api/v1/push).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from tiphys.logstore.index import ORIGINS, PUSHED, Position, Source
from tiphys.logstore.outputs.record import Record
from tiphys.logstore.record import record_at, record_of_nanoseconds
from tiphys.logstore.store import Batch

STREAMS_MAX: Final = 1000  # In one push.
LABELS_MAX: Final = 30  # Loki's -validation.max-label-names-per-series is 15.
LABEL_CHARS_MAX: Final = 2048  # -validation.max-length-label-value
NODE_DEVICE: Final = -2  # The place of nodes among the positions of files.
# What agents call these, the usual name first.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "namespace": ("namespace", "kubernetes_namespace_name", "namespace_name"),
    "pod": ("pod", "kubernetes_pod_name", "pod_name"),
    "container": ("container", "kubernetes_container_name", "container_name"),
    "node": ("node", "node_name", "nodename", "hostname", "host"),
}


class PushError(Exception):
    """A push that is not understood: what is wrong with it. Nothing of it was stored."""


def loki_batches(body: bytes) -> list[Batch]:
    """Raises PushError."""
    try:
        document = orjson.loads(body)
    except ValueError as exc:
        raise PushError(f"is no JSON: {exc}") from exc
    return document_batches(document)


def document_batches(document: Any) -> list[Batch]:
    """Raises PushError."""
    streams = document.get("streams") if isinstance(document, dict) else None
    if not isinstance(streams, list) or len(streams) > STREAMS_MAX:
        raise PushError(f"needs streams, at most {STREAMS_MAX}")
    return [_batch(f"streams[{i}]", stream) for i, stream in enumerate(streams)]


def _batch(where: str, found: Any) -> Batch:
    labels = found.get("stream") if isinstance(found, dict) else None
    if not isinstance(labels, dict) or len(labels) > LABELS_MAX:
        raise PushError(f"{where}.stream: needs labels, at most {LABELS_MAX}")
    for name, value in labels.items():
        if not isinstance(value, str) or len(value) > LABEL_CHARS_MAX:
            raise PushError(f"{where}.stream.{name}: is no text, or too long")
    values = found.get("values")
    if not isinstance(values, list):
        raise PushError(f"{where}.values: is no list")
    data = b"".join(_line(f"{where}.values[{i}]", value) for i, value in enumerate(values))
    return Batch(pushed_source(labels), labels, data)


def _line(where: str, value: Any) -> bytes:
    try:
        nanoseconds, text = value[0], value[1]
        return record_of_nanoseconds(int(nanoseconds), text)
    except (TypeError, IndexError, ValueError, OverflowError, AttributeError) as exc:
        raise PushError(f"{where}: is not a time in nanoseconds and a text") from exc


def pushed_source(labels: Mapping[str, str]) -> Source:
    """Streams with other labels are other sources, told apart by what stands for the uid."""
    found = {k: next((labels[n] for n in names if n in labels), "") for k, names in _NAMES.items()}
    text = orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(text).hexdigest()[:16]
    return Source(
        found["namespace"], found["pod"], digest, found["container"], found["node"], PUSHED
    )


def node_body(store: str, records: Sequence[Record]) -> bytes:
    """What a joined node sends: whole chunks of its own store, in their order."""
    lines = [(r.id, r.time, *r.source[:4], r.source.origin, r.stream, r.text) for r in records]
    return orjson.dumps({"store": store, "records": lines})


def node_position(node: str, store: str, offset: int) -> Position:
    """How far a node's store has been taken. A node that is made anew has another store."""
    digest = hashlib.sha256(f"{node} {store}".encode()).digest()
    return Position(NODE_DEVICE, int.from_bytes(digest[:7], "big"), b"node", offset)


def node_batches(
    node: str,
    body: bytes,
    taken: Callable[[Position], int],
    labels_of: Callable[[str], Mapping[str, str]],
) -> list[Batch]:
    """What of a node's lines was not taken before, under its own name. Raises PushError.

    taken: the offset of a place that is stored, 0 for none.
    """
    try:
        document = orjson.loads(body)
        store = str(document["store"])
        records = [tuple(map(str, record)) for record in document["records"]]
        last = max((_chunk_of(record[0]) for record in records), default=0)
        position = node_position(node, store, last)
        lines: dict[Source, bytes] = {}
        done = taken(position)
        for number, time, namespace, pod, uid, container, origin, stream, text in records:
            if origin not in ORIGINS or stream not in ("stdout", "stderr"):
                raise PushError("a record is of no known source or stream")
            if _chunk_of(number) > done:
                source = Source(namespace, pod, uid, container, node, origin)
                line = _stamped(time, stream, text)
                lines[source] = lines.get(source, b"") + line
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise PushError(f"is not what a node sends: {exc}") from exc
    return [Batch(s, labels_of(s.uid), data, position) for s, data in lines.items()]


def _chunk_of(record_id: str) -> int:
    return int(record_id.partition(".")[0])


def _stamped(time: str, stream: str, text: str) -> bytes:
    if " " in time or "\n" in time or not time.isascii():
        raise ValueError(f"no time: {time!r}")
    line = record_at(time.encode(), text.encode())
    return line if stream == "stdout" else line.replace(b" stdout ", b" stderr ", 1)
