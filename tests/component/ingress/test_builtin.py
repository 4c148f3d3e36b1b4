"""What is this data plane's own: bounds that nginx has others for."""

import asyncio

import pytest

from support.ingress_lab import HttpBackend, lab, location, plan, read_answer, run
from support.waiting import until
from tiphys.ingress.builtin import client as client_side
from tiphys.ingress.builtin.service import Service


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a.test\r\nX: ", id="a header without end"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
            id="a trailer without end",
        ),
        pytest.param(b"GET /", id="a path without end"),
    ],
)
def test_what_does_not_end_is_refused(beginning: bytes) -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab("builtin") as one:
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            writer.write(beginning)
            await writer.drain()
            answer = asyncio.create_task(read_answer(reader))
            sent = 0
            while not answer.done():
                assert sent < 2 * client_side.HEAD_BYTES_MAX
                writer.write(b"x" * 4096)
                sent += 4096
                await asyncio.wait([answer], timeout=0.01)
            assert (await answer).status == 431
            writer.transport.abort()

    run(story())


def test_trailers_are_no_headers() -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab("builtin") as one:
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            writer.write(
                b"POST /1 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n0\r\nX-Admin: yes\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n"
            )
            for _ in range(2):
                assert (await read_answer(reader)).asked_with("x-admin") is None
            writer.close()

    run(story())


def test_connections_that_do_nothing_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_side, "IDLE_SECONDS_MAX", 0.2)
    monkeypatch.setattr(client_side, "HEAD_SECONDS_MAX", 0.2)

    async def story() -> None:
        async with lab("builtin") as one:
            for beginning in (b"", b"GET / HT"):
                reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
                writer.write(beginning)
                assert await reader.read() == b""
                writer.close()

    run(story())


def test_it_ends_after_the_answers_that_are_under_way() -> None:
    async def story() -> None:
        backend = await HttpBackend.start("b")
        async with lab("builtin") as one:
            assert isinstance(one.plane, Service)
            await one.plane.apply(plan(a=location(backend.port)))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.http_port)
            writer.write(b"GET /stuck HTTP/1.1\r\nHost: a.test\r\n\r\n")
            await until(lambda: backend.asked == 1)
            closing = asyncio.create_task(one.plane.close())
            await asyncio.sleep(0)
            with pytest.raises(OSError, match="refused"):
                await asyncio.open_connection("127.0.0.1", one.http_port)
            backend.go_on.set()
            told = await read_answer(reader)
            assert (told.status, told.header("connection")) == (200, "close")
            await closing
            writer.close()

    run(story())
