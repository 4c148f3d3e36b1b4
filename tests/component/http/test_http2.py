"""HTTP/2 over real sockets with h2 as the client: streams, windows, floods, the end."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
import uvloop
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    GoAwayFrame,
)

from support.gaps import missing
from support.http2_client import Http2Client
from support.http2_server import BIG, Handler, with_server
from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http import http2, http2_uploads
from tiphys.lib.http.client import HttpClient
from tiphys.lib.http.message import (
    Answer,
    Request,
    text_response,
)
from tiphys.lib.http.server import HttpServer, Limits


def test_requests_and_answers(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        reply = await client.get("/fast?a=1")
        assert (reply.status, reply.body) == (200, b"GET {'a': ['1']} x")
        assert reply.headers["content-length"] == str(len(reply.body))
        assert "date" in reply.headers
        reply = await client.reply(client.ask("POST", "/echo", b"hello"))
        assert (reply.body, reply.headers["content-type"]) == (b"hello", "x/y")
        assert "connection" not in reply.headers
        reply = await client.get("/big", method="HEAD")
        assert (reply.headers["content-length"], reply.body) == (str(len(BIG)), b"")
        assert (await client.get("/fast", method="FOO")).body == b"FOO {} x"
        assert (await client.get("/bug")).status == 500
        unchanged = await client.get("/unchanged")
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert "content-length" not in unchanged.headers
        assert (await client.get("/big")).body == BIG
        assert (await client.get("/big-bytes")).body == BIG
        cookies = client.ask("GET", "/cookie", headers={"cookie": "a=1; b=2"})
        assert (await client.reply(cookies)).body == b"a=1; b=2"

    with_server(tmp_path, talk)


def test_hundreds_of_streams_at_once(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        waiting = [client.ask("GET", "/gate") for _ in range(240)]
        for _ in range(3):
            assert (await client.get("/fast")).status == 200
        assert not any(client.replies[n].status for n in waiting)
        handler.gate.set()
        assert {(await client.reply(n)).body for n in waiting} == {b"open"}

    with_server(tmp_path, talk)


def test_more_streams_than_announced_are_refused(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        assert (await client.get("/fast")).status == 200
        assert client.frames.remote_settings.max_concurrent_streams == 3
        # A client that does not care.
        client.frames.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
        client.frames.remote_settings.acknowledge()
        waiting = [client.ask("GET", "/gate") for _ in range(4)]
        assert (await client.reply(waiting[3])).reset == ErrorCodes.REFUSED_STREAM
        handler.gate.set()
        assert {(await client.reply(n)).status for n in waiting[:3]} == {200}

    with_server(tmp_path, talk, limits=Limits(streams_max=3))


def test_a_stream_that_is_not_read_stops_only_its_own_writer(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        client.reads = False
        much = client.ask("GET", "/much")
        await client.until(lambda: len(client.replies[much].body) == 20_000)
        for _ in range(20):
            assert (await client.get("/fast")).status == 200
        # The window, what may wait in the stream, and the write that was too much.
        assert handler.written <= 20_000 + 64 * 1024 + 10_000
        client.reads = True
        client.frames.increment_flow_control_window(1 << 20)
        client.frames.increment_flow_control_window(1 << 20, much)
        client.flush()
        assert len((await client.reply(much)).body) == 1_000_000

    with_server(tmp_path, talk, window=20_000)


def test_big_answers_take_turns(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        numbers = [client.ask("GET", "/big") for _ in range(8)]
        assert [(await client.reply(n)).body == BIG for n in numbers] == [True] * 8

    with_server(tmp_path, talk)


def test_a_reset_cancels_the_work(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("GET", "/forever")
        await client.until(lambda: client.replies[number].body == b"begun\n")
        client.frames.reset_stream(number, ErrorCodes.CANCEL)
        client.flush()
        assert (await client.get("/fast")).status == 200
        assert handler.cancelled == 1
        assert len(server.tasks) == 0

    with_server(tmp_path, talk)


def test_what_cannot_be_answered_is_reset(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        assert (await client.get("/upgrade")).reset == ErrorCodes.HTTP_1_1_REQUIRED
        broken = await client.get("/bug-in-stream")
        assert (broken.status, broken.reset) == (200, ErrorCodes.INTERNAL_ERROR)
        assert (await client.get("/fast")).status == 200

    with_server(tmp_path, talk)


def test_bodies_have_a_limit(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        said = client.ask("POST", "/echo", headers={"content-length": "1001"}, ends=False)
        reply = await client.reply(said)
        assert (reply.status, reply.body) == (413, b"limit is 1000")
        unsaid = client.ask("POST", "/echo", b"x" * 1001, ends=False)
        assert (await client.reply(unsaid)).status == 413
        await client.until(lambda: client.replies[unsaid].reset == ErrorCodes.NO_ERROR)
        assert len((await client.reply(client.ask("POST", "/echo", b"x" * 1000))).body) == 1000

    with_server(tmp_path, talk, limits=Limits(body_bytes_max=1000))


def test_a_body_of_unknown_length_and_padding_has_its_whole_window(tmp_path: Path) -> None:
    """It is shut until half of the first one is used; padding uses nothing of it."""

    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("POST", "/echo", b"x", ends=False)
        sent = 1
        while sent < 1_000_000:
            await client.until(lambda: client.frames.local_flow_control_window(number) >= 16_000)
            client.frames.send_data(number, b"x" * 15_000, pad_length=200)
            client.flush()
            sent += 15_000
        client.frames.end_stream(number)
        client.flush()
        assert len((await client.reply(number)).body) == sent

    with_server(tmp_path, talk)


def test_a_body_that_does_not_come_holds_up_nobody_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (http2, http2_uploads):
        monkeypatch.setattr(module, "BODY_SECONDS_MAX", 0.1)

    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        size = {"content-length": str(3 * 1024 * 1024)}
        silent = [client.ask("POST", "/echo", headers=size, ends=False) for _ in range(6)]
        assert {(await client.reply(n)).status for n in silent[:5]} == {408}
        assert client.replies[silent[5]].status == 0, "it has room now, and nobody waits for it"
        assert (await client.reply(client.ask("POST", "/echo", b"x" * 1000))).status == 200

    with_server(tmp_path, talk)


def test_a_client_that_waits_is_told_to_send(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("POST", "/echo", headers={"expect": "100-continue"}, ends=False)
        await client.until(lambda: client.replies[number].informed == [100])
        client.frames.send_data(number, b"hello", end_stream=True)
        client.flush()
        assert (await client.reply(number)).body == b"hello"

    with_server(tmp_path, talk)


def test_a_client_that_leaves_gets_what_it_waits_for(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("GET", "/gate")
        await client.get("/fast")
        client.send_raw(GoAwayFrame(0, last_stream_id=0).serialize())
        await asyncio.sleep(0.05)
        handler.gate.set()
        assert (await client.reply(number)).body == b"open"
        await client.until(lambda: client.closed)

    with_server(tmp_path, talk)


def test_a_head_larger_than_a_frame_is_answered(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        reply = await client.get("/long-head")
        assert (reply.status, reply.body) == (200, b"short")
        assert len(reply.headers["x-long"]) == 20_000

    with_server(tmp_path, talk)


def test_an_upload_that_is_too_large_is_told_so_by_curl(tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        missing("curl is not installed")
    authority = Authority(tmp_path)
    context = tls.server_context(*authority.issue("server", server=True))
    tls.offer_http2(context)
    (tmp_path / "body").write_bytes(b"x" * 20_000_000)

    async def story() -> None:
        server = HttpServer(Handler(), tls=context)
        port = await server.listen("127.0.0.1", 0)
        command = [curl, "-sS", "--http2", "--cacert", str(authority.path), "-w", "%{http_code}"]
        command += ["--data-binary", f"@{tmp_path}/body", f"https://127.0.0.1:{port}/echo"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20)
        assert done.stdout == b"limit is 3145728413", done.stderr
        await server.stop()

    uvloop.run(story())


def test_stopping_tells_streams_and_ends_the_connection(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("GET", "/until-stop")
        await client.until(lambda: client.replies[number].body == b"begun\n")
        await server.stop(grace_seconds=5)
        reply = await client.reply(number)
        assert (reply.body, reply.ended) == (b"begun\nended\n", True)
        assert client.goaway == ErrorCodes.NO_ERROR
        await client.until(lambda: client.closed)

    with_server(tmp_path, talk)


def test_idle_connections_are_closed(tmp_path: Path) -> None:
    async def talk(client: Http2Client, handler: Handler, server: HttpServer) -> None:
        number = client.ask("GET", "/gate")
        await asyncio.sleep(0.5)
        assert not client.closed
        handler.gate.set()
        await client.reply(number)
        await client.until(lambda: client.closed)

    with_server(tmp_path, talk, limits=Limits(idle_seconds_max=0.2, sweep_seconds=0.05))


def test_http_1_1_is_spoken_on_the_same_port(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = tls.server_context(*authority.issue("server", server=True))
    tls.offer_http2(context)

    async def story() -> None:
        server = HttpServer(Handler(), tls=context)
        port = await server.listen("127.0.0.1", 0)
        client = HttpClient(f"https://127.0.0.1:{port}", tls=tls.client_context(authority.path))
        answer = await client.request("GET", "/fast")
        assert (answer.status, answer.body) == (200, f"GET {{}} 127.0.0.1:{port}".encode())
        client.close()
        if curl := shutil.which("curl"):
            for flag, version in (("--http2", "2"), ("--http1.1", "1.1")):
                command = [curl, "-sS", flag, "--cacert", str(authority.path)]
                command += ["-w", "%{http_version}", "-o", str(tmp_path / "out")]
                command += [f"https://127.0.0.1:{port}/big"]
                done = await asyncio.to_thread(subprocess.run, command, capture_output=True)
                assert done.stdout.decode() == version, done.stderr
                assert (tmp_path / "out").read_bytes() == BIG
        await server.stop()

    uvloop.run(story())


def test_kubectl_prefers_it(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        missing("kubectl is not installed")
    authority = Authority(tmp_path)
    context = tls.server_context(*authority.issue("server", server=True))
    tls.offer_http2(context)

    async def story() -> None:
        def handle(request: Request) -> Answer:
            return text_response(200, " ".join(type(c).__name__ for c in server._connections))

        server = HttpServer(handle, tls=context)
        port = await server.listen("127.0.0.1", 0)
        command = [kubectl, "--server", f"https://127.0.0.1:{port}", "get", "--raw", "/kind"]
        command += ["--certificate-authority", str(authority.path), "--kubeconfig", "/dev/null"]
        command += ["--token", "any"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=20)
        assert done.stdout == b"Http2Connection", done.stderr
        await server.stop()

    uvloop.run(story())
