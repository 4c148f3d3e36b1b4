"""Which answers of upstreams are kept, for how long, and what of them changes with time."""

import struct

import pytest

from tiphys.dns.answer_cache import AnswerCache, lifetime
from tiphys.dns.packet import NXDOMAIN, SOA, A, Query, Record, Soa, read_name, write_answer

NAME = "Example.com"
QUESTION = b"\7Example\3com\0\0\1\0\1"
END = 12 + len(QUESTION)


def a_query(ident: int = 7, question: bytes = QUESTION) -> bytes:
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + question


def an_answer(*ttls: int, code: int = 0, minimum: int | None = None, limit: int = 0) -> bytes:
    query = Query(7, NAME.lower(), NAME, A, 1, True, 512, False)
    records = [Record(NAME, A, ttl, f"192.0.2.{n}") for n, ttl in enumerate(ttls)]
    soa = Record("com", SOA, 900, Soa("ns.com", "x.com", 1, 2, 3, 4, minimum or 0))
    authorities = [soa] if minimum is not None else []
    return write_answer(query, code, records, authorities, bytes_max=limit or None)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        pytest.param(an_answer(20, 10), 10, id="the-shortest"),
        pytest.param(an_answer(3600), 30, id="at-most"),
        pytest.param(an_answer(0), 5, id="at-least"),
        pytest.param(an_answer(code=NXDOMAIN, minimum=12), 12, id="no-such-name"),
        pytest.param(an_answer(minimum=12), 12, id="no-such-type"),
        pytest.param(an_answer(code=NXDOMAIN), 0, id="no-such-name-without-soa"),
        pytest.param(an_answer(20, code=2), 0, id="a-failure"),
        pytest.param(an_answer(20, 20, limit=50), 0, id="cut"),
        pytest.param(b"\0\7\x81\x80\0\1\0\1\0\0\0\0\1a", 0, id="no-message"),
    ],
)
def test_lifetime(answer: bytes, seconds: float) -> None:
    assert lifetime(answer)[0] == seconds


def test_a_hit_has_the_askers_id_letters_and_what_is_left_of_the_time() -> None:
    cache = AnswerCache()
    cache.put(a_query(), END, an_answer(20), 100.0, tcp=False)
    other = a_query(9, QUESTION.upper())
    found = cache.get(other, END, 107.9, tcp=False)
    assert found is not None
    assert found[:2] == b"\0\x09"
    assert read_name(found, 12)[0] == "EXAMPLE.COM"
    _, offset = read_name(found, END)
    assert struct.unpack_from(">I", found, offset + 4)[0] == 13
    assert cache.get(other, END, 120.0, tcp=False) is None, "over"
    assert len(cache) == 0


def test_what_changes_the_answer_is_part_of_the_question() -> None:
    cache = AnswerCache()
    cache.put(a_query(), END, an_answer(20), 0.0, tcp=False)
    assert cache.get(a_query(), END, 1.0, tcp=True) is None
    https = QUESTION[:-4] + b"\0\x41\0\1"
    assert cache.get(a_query(7, https), END, 1.0, tcp=False) is None
    assert cache.get(a_query() + b"\0", END, 1.0, tcp=False) is None


def test_the_oldest_goes_first() -> None:
    cache = AnswerCache(entries_max=2)
    questions = [b"\1" + letter + b"\0\0\1\0\1" for letter in (b"a", b"b", b"c")]
    for question in questions:
        cache.put(a_query(7, question), 12 + len(question), an_answer(20), 0.0, tcp=False)
    kept = [cache.get(a_query(7, q), 12 + len(q), 1.0, tcp=False) is not None for q in questions]
    assert kept == [False, True, True]


def test_long_answers_make_room_sooner() -> None:
    size = len(an_answer(20))
    cache = AnswerCache(bytes_max=2 * size)
    for number in range(5):
        question = b"\1" + b"abcde"[number : number + 1] + b"\0\0\1\0\1"
        cache.put(a_query(7, question), 12 + len(question), an_answer(20), 0.0, tcp=False)
        cache.put(a_query(7, question), 12 + len(question), an_answer(20), 1.0, tcp=False)
    assert len(cache) == 2
