"""Answers kept as bytes: whose id they have, which turn they take, when they are forgotten."""

import struct

from tiphys.dns.wire_answers import BYTES_MAX, QUERY_BYTES_MAX, ROTATIONS_MAX, WireAnswers


def an_answer(count: int, body: bytes) -> bytes:
    """With an id of its own and so many records."""
    return struct.pack(">HHHH", 9, 0x8180, 1, count) + body


def test_one_record_is_given_with_the_askers_id() -> None:
    answers = WireAnswers(lambda: 1)
    answers.put(b"\0\1query", an_answer(1, b"x"))
    assert answers.get(b"\0\7query") == b"\0\7" + an_answer(1, b"x")[2:]
    assert answers.get(b"\0\7other") is None


def test_several_records_take_turns_once_all_turns_are_known() -> None:
    answers = WireAnswers(lambda: 1)
    for number in range(3):
        assert answers.get(b"\0\1q") is None
        answers.put(b"\0\1q", an_answer(3, bytes([number])))
    told = [answers.get(b"\0\1q") for _ in range(6)]
    assert {told.count(one) for one in told} == {2}
    for number in range(ROTATIONS_MAX):
        answers.put(b"\0\1many", an_answer(100, bytes([number])))
    assert answers.get(b"\0\1many") is not None


def test_a_change_forgets_everything() -> None:
    version = 1
    answers = WireAnswers(lambda: version)
    answers.put(b"\0\1q", an_answer(1, b"old"))
    version = 2
    assert answers.get(b"\0\1q") is None
    answers.put(b"\0\1q", an_answer(1, b"new"))
    assert answers.get(b"\0\1q") == b"\0\1" + an_answer(1, b"new")[2:]


def test_what_is_kept_is_bounded() -> None:
    answers = WireAnswers(lambda: 1)
    answers.put(b"\0\1" + bytes(QUERY_BYTES_MAX), an_answer(1, b""))
    assert len(answers) == 0
    body = bytes(1000)
    for number in range(2 * BYTES_MAX // 1000):
        answers.put(struct.pack(">HI", 1, number), an_answer(1, body))
    assert 0 < len(answers) <= BYTES_MAX // 1000
