"""Audit ids of answers."""

import random
import uuid

from tiphys.apiserver.server import audit_id_of
from tiphys.lib.http.head import encode_head


def test_an_audit_id_is_a_random_uuid() -> None:
    text = audit_id_of(random.Random(1))
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 4


def test_an_answers_own_headers_do_not_stay() -> None:
    headers = (("Content-Type", "a/b"),)
    own = (("Audit-Id", "1"),)
    assert b"Audit-Id: 1\r\n" in encode_head(200, headers, 0, close=False, own=own)
    assert b"Audit-Id" not in encode_head(200, headers, 0, close=False)
