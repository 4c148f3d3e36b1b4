"""A write as etcd's transaction, and what its answer means.

Each write compares the key's revision; when it is another one, the answer tells it. That makes a
transaction safe to send again when its outcome is unknown: it happens at most once, because the
first time changes what the second compares.
"""

from typing import Any, NamedTuple

from tiphys.storage.backend import Event, KeyExists, KeyValue, RevisionMismatch, StorageError
from tiphys.storage.etcd.watch import key_bytes, key_text


class Change(NamedTuple):
    """`value` None deletes; `expected` 0 creates."""

    key: str
    value: bytes | None
    expected: int
    lease: int = 0

    def request(self) -> dict[str, Any]:
        key = key_bytes(self.key)
        unchanged = {
            "key": key,
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": self.expected,
        }
        if self.value is None:
            write: dict[str, Any] = {"request_delete_range": {"key": key}}
        else:
            write = {"request_put": {"key": key, "value": self.value, "lease": self.lease}}
        look = {"request_range": {"key": key, "keys_only": True}}
        return {"compare": [unchanged], "success": [write], "failure": [look]}

    def refusal(self, answer: dict[str, Any], offset: int) -> StorageError:
        """Why the comparison failed; offset is between etcd's revisions and the store's."""
        if not self.expected:
            return KeyExists(self.key)
        kvs = answer["responses"][0].get("response_range", {}).get("kvs", [])
        return RevisionMismatch(self.key, kvs[0]["mod_revision"] + offset if kvs else 0)

    def done_at(self, seen: list[Event]) -> int:
        """The revision at which it happened, from the key's events since before it was sent; or 0.

        The first event after the expected revision is the write that won. An equal value is this
        change, or one that nobody can tell from it. Of a creation, any event may be the one: the
        key may have come and gone before.
        """
        later = [e for e in seen if e.revision > self.expected]
        for event in later if not self.expected else later[:1]:
            if event.value == self.value:
                return event.revision
        return 0


def key_value(kv: dict[str, Any], offset: int) -> KeyValue:
    return KeyValue(key_text(kv["key"]), kv.get("value", b""), kv["mod_revision"] + offset)
