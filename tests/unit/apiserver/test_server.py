"""Audit ids of answers."""

import random
import uuid

from tiphys.apiserver.server import AuditIds
from tiphys.lib.http.head import encode_head
from tiphys.lib.http.message import header_line


def test_audit_ids_are_uuids_of_their_own() -> None:
    ids, others = AuditIds(random.Random(1)), AuditIds(random.Random(2))
    texts = [ids.next().decode() for _ in range(3)] + [others.next().decode() for _ in range(3)]
    assert len(set(texts)) == 6
    for text in texts:
        assert str(uuid.UUID(text)) == text
        assert uuid.UUID(text).version == 4


def test_an_answers_own_headers_do_not_stay() -> None:
    headers = (("Content-Type", "a/b"),)
    own = header_line("Audit-Id", "1")
    assert b"Audit-Id: 1\r\n" in encode_head(200, headers, 0, close=False, own=own)
    assert b"Audit-Id" not in encode_head(200, headers, 0, close=False)
