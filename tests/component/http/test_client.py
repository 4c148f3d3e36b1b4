"""The client over real sockets, HTTP/1.1 and HTTP/2 alike: what a caller sees is the same."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http import http2_client
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.http2_client import Sessions
from tiphys.lib.http.http2_uploads import ROOM_BYTES
from tiphys.lib.http.message import Answer, Request, Response, StreamResponse, text_response
from tiphys.lib.http.server import HttpServer

BIG = b"".join(b"%08d" % i for i in range(400_000))  # 3.2 MB
TOO_FAST = 20_000_000


class Handler:
    def __init__(self) -> None:
        self.asked = 0
        self.cancelled = 0
        self.written = 0
        self.gate = asyncio.Event()

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        self.asked += 1
        match request.raw_path:
            case "/echo":
                said = f"{request.method} {request.headers.get('x-own', '')} ".encode()
                return Response(200, said + request.body, (("X-Answer", "yes"),))
            case "/length":
                return text_response(200, str(len(request.body)))
            case "/big":
                return Response(200, BIG)
            case "/gate":
                return self.wait()
            case "/lines":
                return StreamResponse(200, self.lines)
            case "/forever":
                return StreamResponse(200, self.forever)
            case "/flood":
                return StreamResponse(200, self.flood)
            case "/slow":
                return self.slow()
            case "/nothing":
                return Response(204)
        return text_response(404, "no such path")

    async def wait(self) -> Answer:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return text_response(200, "open")

    async def slow(self) -> Answer:
        await asyncio.sleep(1.5)
        return text_response(200, "at last")

    async def lines(self, body: BodyWriter) -> None:
        for piece in (b"one\ntw", b"o\n", b"three"):
            body.write(piece)
            await body.pause()

    async def forever(self, body: BodyWriter) -> None:
        body.write(b"begun\n")
        await body.stopping.wait()

    async def flood(self, body: BodyWriter) -> None:
        while self.written < TOO_FAST:
            body.write(b"x" * 50_000)
            self.written += 50_000
            await body.drain()


Talk = Callable[[HttpClient, Handler, HttpServer], Awaitable[None]]


@pytest.fixture(params=["1.1", "2"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Talk], None]:
    authority = Authority(tmp_path)
    pair = authority.issue("server", server=True)

    def with_server(talk: Talk) -> None:
        async def story() -> None:
            handler = Handler()
            server, port = await serve(handler, pair)
            client = client_of(port, authority.path, is_multiplexed=request.param == "2")
            try:
                await asyncio.wait_for(talk(client, handler, server), 30)
            finally:
                client.close()
                await server.stop()

        uvloop.run(story())

    return with_server


async def serve(handler: Handler, pair: tuple[Path, Path], port: int = 0) -> tuple[HttpServer, int]:
    context = tls.server_context(*pair)
    tls.offer_http2(context)
    server = HttpServer(handler, tls=context)
    return server, await server.listen("127.0.0.1", port)


def client_of(port: int, ca: Path, *, is_multiplexed: bool) -> HttpClient:
    context = tls.client_context(ca)
    sessions = None
    if is_multiplexed:
        tls.offer_http2(context)
        sessions = Sessions("127.0.0.1", port, context, "127.0.0.1")
    return HttpClient(f"https://127.0.0.1:{port}", tls=context, sessions=sessions)


def test_requests_and_answers(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        answer = await client.request("POST", "/echo?a=1", headers={"X-Own": "v"}, body=b"hello")
        assert (answer.status, answer.body) == (200, b"POST v hello")
        assert answer.headers["x-answer"] == "yes"
        assert (await client.request("GET", "/big")).body == BIG
        upload = BIG[:2_900_000]
        assert (await client.request("PUT", "/echo", body=upload)).body == b"PUT  " + upload
        assert (await client.request("GET", "/nothing")).body == b""
        assert (await client.request("GET", "/nowhere")).status == 404
        assert (await client.request("POST", "/echo", body=BIG * 2)).status == 413
        assert (await client.request("GET", "/echo")).status == 200
        for bad in ({"X-Own": "a\r\nb: c"}, {"X-Own": "a\nb"}):
            with pytest.raises(ValueError, match=r"line break|forbidden"):
                await client.request("GET", "/echo", headers=bad)
        with pytest.raises(ValueError, match="not a request target"):
            await client.request("GET", "/a b")

    run(talk)


def test_hundreds_at_once(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        waiting = [asyncio.ensure_future(client.request("GET", "/gate")) for _ in range(300)]
        await until(lambda: handler.asked == 300)
        assert (await client.request("GET", "/echo")).status == 200
        handler.gate.set()
        assert {(await w).body for w in waiting} == {b"open"}

    run(talk)


def test_more_uploads_at_once_than_there_is_room_for(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        body = BIG[:2_900_000]
        count = 2 * ROOM_BYTES // len(body)
        ways = [client.request("POST", "/length", body=body) for _ in range(count)]
        answers = await asyncio.gather(*ways)
        assert [answer.body for answer in answers] == [b"2900000"] * count

    run(talk)


def test_lines_as_they_come(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        stream = await client.stream("GET", "/lines")
        assert [line async for line in stream.lines()] == [b"one", b"two", b"three"]
        stream.close()

    run(talk)


def test_a_slow_reader_stops_its_writer_only(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        stream = await client.stream("GET", "/flood")
        await until(lambda: handler.written >= 500_000)
        for _ in range(20):
            assert (await client.request("GET", "/echo")).status == 200
            await asyncio.sleep(0.01)
        assert handler.written < TOO_FAST
        size = 0
        while chunk := await stream.read():
            size += len(chunk)
        assert size == TOO_FAST

    run(talk)


def test_who_gives_up_cancels_the_work(run: Callable[[Talk], None]) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        asking = asyncio.ensure_future(client.request("GET", "/gate", timeout_seconds=2))
        await until(lambda: handler.asked == 1)
        with pytest.raises(TimeoutError, match=r"GET 127.0.0.1:\d+/gate: no answer in 2 s"):
            await asking
        await until(lambda: handler.cancelled == 1)
        stream = await client.stream("GET", "/forever")
        assert await stream.read() == b"begun\n"
        stream.close()
        await until(lambda: len(server.tasks) == 0)
        assert (await client.request("GET", "/echo")).status == 200

    run(talk)


def test_a_server_that_stops_ends_streams_and_is_asked_again(
    run: Callable[[Talk], None], tmp_path: Path
) -> None:
    async def talk(client: HttpClient, handler: Handler, server: HttpServer) -> None:
        stream = await client.stream("GET", "/forever")
        assert await stream.read() == b"begun\n"
        await server.stop(grace_seconds=5)
        assert await stream.read() == b""
        with pytest.raises(HttpError, match="cannot connect"):
            await client.request("POST", "/echo")
        pair = tmp_path / "server.crt", tmp_path / "server.key"
        other, _ = await serve(handler, pair, client.port)
        assert (await client.request("GET", "/echo")).status == 200
        await other.stop()
        another, _ = await serve(handler, pair, client.port)
        # Cut off without a word: a read is sent again over a new connection.
        assert (await client.request("GET", "/echo")).status == 200
        await another.stop()

    run(talk)


def test_a_server_without_http_2_is_spoken_to(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def story() -> None:
        server = HttpServer(Handler(), tls=tls.server_context(*authority.issue("s", server=True)))
        port = await server.listen("127.0.0.1", 0)
        client = client_of(port, authority.path, is_multiplexed=True)
        assert (await client.request("GET", "/echo")).status == 200
        client.close()
        await server.stop()

    uvloop.run(story())


def test_idle_connections_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_client, "IDLE_SECONDS_MAX", 0.1)
    authority = Authority(tmp_path)

    async def story() -> None:
        server, port = await serve(Handler(), authority.issue("server", server=True))
        client = client_of(port, authority.path, is_multiplexed=True)
        stream = await client.stream("GET", "/forever")
        await asyncio.sleep(0.4)
        assert server.connection_count == 1, "a stream is in use"
        stream.close()
        await until(lambda: server.connection_count == 0)
        client.close()
        await server.stop()

    uvloop.run(story())


def test_a_silent_connection_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_client, "PING_SECONDS", 0.3)
    monkeypatch.setattr(http2_client, "SUSPECT_SECONDS", 0.2)
    authority = Authority(tmp_path)

    async def story() -> None:
        server, port = await serve(Handler(), authority.issue("server", server=True))
        relay = Relay(port)
        client = client_of(await relay.listen(), authority.path, is_multiplexed=True)
        stream = await client.stream("GET", "/forever")
        assert await stream.read() == b"begun\n"
        await asyncio.sleep(1.5)  # Pings are answered: it lives.
        relay.is_cut = True
        with pytest.raises(HttpError, match="silent"):
            await stream.read()
        relay.is_cut = False
        stream = await client.stream("GET", "/forever")
        assert await stream.read() == b"begun\n"
        relay.is_cut = True
        with pytest.raises(TimeoutError):
            await client.request("GET", "/echo", timeout_seconds=0.25)
        relay.is_cut = False
        assert (await client.request("GET", "/echo")).status == 200, "over a new connection"
        client.close()
        await relay.close()
        await server.stop()

    uvloop.run(story())


def test_one_slow_answer_ends_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_client, "SUSPECT_SECONDS", 0.5)
    authority = Authority(tmp_path)

    async def story() -> None:
        server, port = await serve(Handler(), authority.issue("server", server=True))
        client = client_of(port, authority.path, is_multiplexed=True)
        stream = await client.stream("GET", "/forever")
        assert await stream.read() == b"begun\n"
        with pytest.raises(TimeoutError):
            await client.request("GET", "/slow", timeout_seconds=0.7)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.read(), 0.8)
        assert (await client.request("GET", "/echo")).status == 200
        assert server.connection_count == 1
        client.close()
        with pytest.raises(HttpError, match="the client was closed"):
            await client.request("GET", "/echo")
        await server.stop()

    uvloop.run(story())


def test_who_waits_for_a_mute_server_waits_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2_client, "CONNECT_SECONDS_MAX", 0.3)
    authority = Authority(tmp_path)

    async def story() -> None:
        mute = await asyncio.start_server(lambda reader, writer: asyncio.sleep(5), "127.0.0.1", 0)
        port = int(mute.sockets[0].getsockname()[1])
        client = client_of(port, authority.path, is_multiplexed=True)
        asking = [client.request("GET", "/echo") for _ in range(8)]
        async with asyncio.timeout(2):
            answers = await asyncio.gather(*asking, return_exceptions=True)
        assert all("cannot connect" in str(a) for a in answers)
        client.close()
        mute.close()

    uvloop.run(story())


def test_an_answer_that_is_cut_off_is_no_answer(tmp_path: Path) -> None:
    """A server that says 100 bytes and ends after 4."""
    authority = Authority(tmp_path)

    async def story() -> None:
        def handle(request: Request) -> Answer:
            answer = Response(200, b"half")
            answer.own_headers = b"Content-Length: 100\r\n"
            return answer

        context = tls.server_context(*authority.issue("server", server=True))
        tls.offer_http2(context)
        server = HttpServer(handle, tls=context)
        port = await server.listen("127.0.0.1", 0)
        client = client_of(port, authority.path, is_multiplexed=True)
        with pytest.raises(HttpError, match="4 of 100 bytes came"):
            await client.request("GET", "/")
        client.close()
        await server.stop()

    uvloop.run(story())


class Relay:
    """Passes bytes on, until it is cut: then they vanish, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self.is_cut = False

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, there[1]), (there[0], writer)):
            self._tasks.append(asyncio.ensure_future(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        is_cut = False  # What was lost is lost: this connection never works again.
        while data := await source.read(65_536):
            is_cut = is_cut or self.is_cut
            if not is_cut:
                target.write(data)
        target.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._server.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.01)
