"""Certificates that are renewed in their files: clients and servers take the new ones."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from cryptography import x509

from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.http.message import Request, Response
from tiphys.lib.http.server import HttpServer
from tiphys.lib.tls_renewal import RenewedCertificate

Story = Callable[[HttpServer, int], Awaitable[None]]


def whoever(request: Request) -> Response:
    """Answers with the name in the client's certificate."""
    leaf = request.peer_certificate
    name = tls.common_name(x509.load_der_x509_certificate(leaf)) if leaf else ""
    return Response(200, name.encode())


def served(context: ssl.SSLContext, story: Story) -> None:
    async def whole() -> None:
        server = HttpServer(whoever, tls=context)
        port = await server.listen("127.0.0.1", 0)
        try:
            async with asyncio.timeout(20):
                await story(server, port)
        finally:
            await server.stop()

    uvloop.run(whole())


def put(pair: tuple[Path, Path], place: Path) -> None:
    new = place.with_suffix(".new")
    new.write_bytes(pair[0].read_bytes() + pair[1].read_bytes())
    new.replace(place)


def test_a_client_shows_its_new_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = tmp_path / "current.pem"
    put(authority.issue("first"), mine)
    server_context = tls.server_context(*authority.issue("server", server=True), [authority.path])

    async def story(server: HttpServer, port: int) -> None:
        context = tls.client_context(authority.path, mine, mine)
        follow = RenewedCertificate(context, mine, mine)
        client = HttpClient(f"https://127.0.0.1:{port}", tls=context, renewed=follow.refresh)
        try:
            assert (await client.request("GET", "/")).body == b"first"
            put(authority.issue("second"), mine)
            # Also the connection that is open and idle is not used again.
            assert (await client.request("GET", "/")).body == b"second"
            mine.write_bytes(b"half a file")
            assert (await client.request("GET", "/")).body == b"second"
            mine.unlink()
            assert (await client.request("GET", "/")).body == b"second"
        finally:
            client.close()

    served(server_context, story)


def test_a_server_without_a_certificate_gets_one_while_it_runs(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = tls.server_context(None, None, [authority.path])

    async def story(server: HttpServer, port: int) -> None:
        for name in ("", "server", "another"):
            if name:
                context.load_cert_chain(*authority.issue(name, server=True))
            client = HttpClient(f"https://127.0.0.1:{port}", tls=tls.client_context(authority.path))
            try:
                answer = await client.request("GET", "/")
                assert name
                assert answer.status == 200
            except HttpError:
                assert not name
            finally:
                client.close()

    served(context, story)
