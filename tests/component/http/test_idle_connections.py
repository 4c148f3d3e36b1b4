"""A client keeps connections for the next request, and lets go of those that nobody uses."""

import asyncio

import pytest

from tiphys.lib.http import client as http_client
from tiphys.lib.http.client import HttpClient


class Counting:
    """An HTTP server that knows how many connections it has."""

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open -= 1
            writer.close()


def test_a_connection_is_used_again_and_ends_when_it_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "IDLE_SECONDS_MAX", 0.1)
    counting = Counting()

    async def story() -> None:
        server = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
        client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with asyncio.timeout(10):
            for _ in range(3):
                assert (await client.request("GET", "/")).body == b"ok"
            assert counting.accepted == 1
            await asyncio.gather(*(client.request("GET", "/") for _ in range(4)))
            assert counting.accepted == 4
            while counting.open:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
            assert (await client.request("GET", "/")).body == b"ok"
            assert counting.accepted == 5
        client.close()
        server.close()

    asyncio.run(story())
