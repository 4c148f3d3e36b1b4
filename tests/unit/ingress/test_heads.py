"""Heads of requests and answers: what is read from them, and how they are written anew."""

import pytest

from tiphys.ingress.builtin.heads import (
    BadRequest,
    Framing,
    Headers,
    Origin,
    RequestHead,
    encode_answer,
    encode_request,
    framing,
    read_request,
)

ORIGIN = Origin(b"192.0.2.7", b"https", b"443")


def read(
    *headers: tuple[bytes, bytes], method: bytes = b"GET", target: bytes = b"/", **more: bool
) -> RequestHead:
    flags = {"http_1_0": False, "close": False, "upgrade": False, **more}
    return read_request(method, target, list(headers), **flags)


HOST = (b"Host", b"A.Test:8080")


def test_what_a_request_says_of_itself() -> None:
    found = read(HOST, (b"Content-Length", b"5"), (b"Expect", b"100-Continue"))
    assert (found.name, found.host, found.length) == ("a.test", b"A.Test:8080", b"5")
    assert found.expects_continue
    assert read(HOST, (b"Transfer-Encoding", b"Chunked")).chunked
    assert read((b"Host", b"[::1]:80")).name == "::1"
    assert read((b"Host", b"a.test.")).name == "a.test"
    absolute = read((b"Host", b"x"), target=b"http://b.test/p?q")
    assert (absolute.name, absolute.target) == ("b.test", b"/p?q")
    assert read(http_1_0=True).name == ""
    assert read(HOST, (b"Upgrade", b"websocket"), upgrade=True).upgrade == b"websocket"
    assert read(HOST, (b"Upgrade", b"h2c"), upgrade=True).upgrade == b""


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 400),
        ([HOST, HOST], 400),
        ([(b"Host", b"a b")], 400),
        ([(b"Host", b"a/b")], 400),
        ([(b"Host", b"user@a.test")], 400),
        ([HOST, (b"Content-Length", b"1"), (b"content-length", b"1")], 400),
        ([HOST, (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")], 400),
        ([HOST, (b"Content-Length", b"0x1")], 400),
        ([HOST, (b"Content-Length", b"-1")], 400),
        ([HOST, (b"Transfer-Encoding", b"gzip, chunked")], 501),
        ([HOST, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")], 400),
        ([HOST, (b"X", b"a\r\nY: b")], 400),
    ],
)
def test_what_is_refused(headers: Headers, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read(*headers)
    assert refused.value.status == status


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_methods_that_are_refused(method: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read(HOST, method=method)
    assert refused.value.status == 405


def test_a_request_written_anew() -> None:
    head = read(
        HOST, (b"Accept", b"*/*"), (b"Connection", b"keep-alive, X-Hop"), (b"X-Hop", b"1"),
        (b"X-Forwarded-For", b"1.1.1.1"), (b"a_b", b"c"), (b"Transfer-Encoding", b"chunked"),
        method=b"POST",
    )  # fmt: skip
    assert encode_request(head, b"/new", ORIGIN, b"id").decode().split("\r\n") == [
        "POST /new HTTP/1.1",
        "Host: A.Test:8080",
        "Accept: */*",
        "X-Original-Forwarded-For: 1.1.1.1",
        "X-Request-ID: id",
        "X-Real-IP: 192.0.2.7",
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Host: A.Test:8080",
        "X-Forwarded-Port: 443",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Scheme: https",
        "X-Scheme: https",
        "Transfer-Encoding: chunked",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("status", "is_head", "has_length", "http_1_0", "expected"),
    [
        (200, False, True, False, Framing(True, False, False)),
        (200, False, False, False, Framing(True, True, False)),
        (200, False, False, True, Framing(True, False, True)),
        (200, True, True, False, Framing(False, False, False)),
        (204, False, False, False, Framing(False, False, False)),
        (304, False, True, False, Framing(False, False, False)),
    ],
)
def test_how_an_answers_end_is_told(
    status: int, is_head: bool, has_length: bool, http_1_0: bool, expected: Framing
) -> None:
    found = framing(status, is_head=is_head, has_length=has_length, http_1_0=http_1_0, close=False)
    assert found == expected


def test_an_answer_written_anew() -> None:
    headers = [
        (b"Server", b"x"),
        (b"Connection", b"close, X-Own"),
        (b"X-Own", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Set-Cookie", b"a"),
        (b"Set-Cookie", b"b"),
    ]
    said = encode_answer(200, b"Fine", headers, Framing(True, True, False))
    assert said.decode().split("\r\n") == [
        "HTTP/1.1 200 Fine",
        "Server: x",
        "Set-Cookie: a",
        "Set-Cookie: b",
        "Transfer-Encoding: chunked",
        "Connection: keep-alive",
        "",
        "",
    ]
