"""Whether a write whose outcome was unknown has happened, told from the key's later events."""

import pytest

from tiphys.storage.backend import Event, KeyExists, RevisionMismatch
from tiphys.storage.etcd.transactions import Change

K = "/k"
MINE, OTHER = b"mine", b"other"


@pytest.mark.parametrize(
    ("change", "events", "done_at"),
    [
        # An update: only the first write after the expected revision can be it.
        (Change(K, MINE, 5), [], 0),
        (Change(K, MINE, 5), [(MINE, 7)], 7),
        (Change(K, MINE, 5), [(MINE, 7), (OTHER, 8)], 7),
        (Change(K, MINE, 5), [(OTHER, 7), (MINE, 8)], 0),
        (Change(K, MINE, 5), [(None, 7), (MINE, 8)], 0),
        (Change(K, MINE, 5), [(MINE, 5)], 0),
        # A deletion: whose it was nobody can tell, nor need to.
        (Change(K, None, 5), [(None, 6)], 6),
        (Change(K, None, 5), [(None, 6), (OTHER, 7)], 6),
        (Change(K, None, 5), [(OTHER, 6), (None, 7)], 0),
        # A creation: the key may have come and gone before.
        (Change(K, MINE, 0), [(MINE, 9)], 9),
        (Change(K, MINE, 0), [(OTHER, 7), (None, 8), (MINE, 9)], 9),
        (Change(K, MINE, 0), [(OTHER, 9)], 0),
    ],
)
def test_the_events_since_tell(
    change: Change, events: list[tuple[bytes | None, int]], done_at: int
) -> None:
    assert change.done_at([Event(K, value, revision) for value, revision in events]) == done_at


def test_a_refusal_names_the_revision_that_clients_know() -> None:
    found = {"responses": [{"response_range": {"kvs": [{"mod_revision": 9}]}}]}
    mismatch = Change(K, MINE, 5).refusal(found, 100)
    assert isinstance(mismatch, RevisionMismatch)
    assert mismatch.actual == 109
    gone = Change(K, MINE, 5).refusal({"responses": [{"response_range": {}}]}, 100)
    assert isinstance(gone, RevisionMismatch)
    assert gone.actual == 0
    assert isinstance(Change(K, MINE, 0).refusal(found, 100), KeyExists)


def test_a_request_compares_writes_and_looks() -> None:
    request = Change(K, MINE, 5, 77).request()
    assert request["compare"][0] == {
        "key": b"/k",
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": 5,
    }
    assert request["success"] == [{"request_put": {"key": b"/k", "value": MINE, "lease": 77}}]
    assert Change(K, None, 5).request()["success"] == [{"request_delete_range": {"key": b"/k"}}]
    assert request["failure"] == [{"request_range": {"key": b"/k", "keys_only": True}}]
