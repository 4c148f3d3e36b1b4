"""An object as the cache keeps it: encoded bytes with its revision spliced in.

A stored value is `{"kind":K,"apiVersion":V,"metadata":{...},...}` without resourceVersion. The
cache keeps `"metadata":{"resourceVersion":"R",...},...}`, its *tail*: head + tail is the object,
`{` + tail an item of a list. Bytes cost the garbage collector nothing, and are joined, not
encoded, for readers.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.storage.backend import StorageError

_METADATA: Final = b'"metadata":{'


def encode_head(api_version: str, kind: str) -> bytes:
    """What every object of a kind begins with; the order is upstream's."""
    return b'{"kind":%b,"apiVersion":%b,' % (orjson.dumps(kind), orjson.dumps(api_version))


def encode_value(obj: Mapping[str, Any]) -> bytes:
    """The stored form: kind, apiVersion and metadata first, no resourceVersion."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    first = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": metadata}
    return orjson.dumps(first | {k: v for k, v in obj.items() if k not in first})


class CachedObject:
    """One object at one revision. `labels` and `fields` are None until somebody selects by them."""

    __slots__ = ("fields", "key", "labels", "revision", "tail")

    def __init__(self, key: str, revision: int, tail: bytes) -> None:
        self.key = key
        self.revision = revision
        self.tail = tail
        self.labels: Mapping[str, str] | None = None
        self.fields: Mapping[str, str] | None = None

    def decode(self, head: bytes) -> Obj:
        """A fresh object that the caller owns."""
        obj: Obj = orjson.loads(head + self.tail)
        return obj

    @property
    def namespace_and_name(self) -> tuple[str, str]:
        """From the key's last two segments; of a cluster-scoped object only the name is right."""
        rest, _, name = self.key.rpartition("/")
        return rest.rpartition("/")[2], name


def splice(key: str, value: bytes, revision: int, head: bytes) -> CachedObject:
    """A stored value with its revision. Raises StorageError for bytes that are no such object."""
    at = len(head)
    if not value.startswith(head) or not value.startswith(_METADATA, at):
        raise StorageError(f"{key} holds an object of another form than expected")
    at += len(_METADATA)
    tail = b'"metadata":{"resourceVersion":"%d",%b' % (revision, value[at:])
    return CachedObject(key, revision, tail)


def adopt(key: str, value: bytes, revision: int, head: bytes) -> CachedObject:
    """A value that was stored in another version or order, taken as one of ours.

    Raises StorageError when it is no object at all.
    """
    try:
        obj = orjson.loads(value)
        ours = orjson.loads(head[:-1] + b"}")
        return splice(key, encode_value(obj | ours), revision, head)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(f"{key} holds no object: {error}") from error


def respliced(old: CachedObject, revision: int) -> CachedObject:
    """The same object under another revision: what a DELETED event carries."""
    after = old.tail.index(b'",', len(_METADATA) + len(b'"resourceVersion":"')) + 2
    tail = b'"metadata":{"resourceVersion":"%d",%b' % (revision, old.tail[after:])
    new = CachedObject(old.key, revision, tail)
    new.labels, new.fields = old.labels, old.fields
    return new
