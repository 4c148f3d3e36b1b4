"""Any number of endless answers (watches, followed logs) over one WebSocket.

A browser opens six HTTP/1.1 connections to one origin, so tabs with a few watches each would block
each other for good. The page says, in text messages:

    {"open": 7, "path": "/api/v1/pods?watch=1", "accept": "application/json"}
    {"close": 7}

and gets text messages `{"id": 7, "status": 200}`, `{"id": 7, "end": true, "error": "..."}` and
binary ones, `7\n` and then whole lines of the answer.
"""

import asyncio
import logging
from typing import Any, Final

import orjson

from tiphys.cluster.dashboard import request_filter
from tiphys.lib.http.client import HttpClient, HttpError, Stream
from tiphys.lib.http.flow import RawStream
from tiphys.lib.http.websocket import BINARY, CLOSE, TEXT, WebSocket, WebSocketError
from tiphys.lib.tasks import TaskSet

log = logging.getLogger(__name__)

STREAMS_MAX: Final = 200  # Of one page; each is a connection to the API server.
ERROR_BYTES_MAX: Final = 64 * 1024


class StreamMultiplexer:
    """Opens what pages ask for with `client`."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def serve(self, raw: RawStream) -> None:
        """One page's connection, until it goes."""
        await _Page(self._client, raw).run()


class _Page:
    def __init__(self, client: HttpClient, raw: RawStream) -> None:
        self._client = client
        self._raw = raw
        self._socket = WebSocket()
        self._tasks = TaskSet()
        self._open: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            while (data := await self._raw.read()) and self._take(data):
                self._raw.write(self._socket.outgoing())
        except (WebSocketError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.info("a page's connection broke", extra={"why": repr(error)})
        finally:
            self._raw.write(self._socket.outgoing())
            await self._tasks.close()

    def _take(self, data: bytes) -> bool:
        """Do what came in; False at the end."""
        for message in self._socket.receive(data):
            if message.opcode == CLOSE:
                return False
            if message.opcode == TEXT:
                self._obey(orjson.loads(message.data))
        return True

    def _obey(self, order: Any) -> None:
        if (number := order.get("close")) is not None:
            task = self._open.pop(number, None)
            if task is not None:
                task.cancel()
            return
        number, path = int(order["open"]), str(order["path"])
        # The page's own origin was checked when it connected.
        why = request_filter.path_refusal(path.partition("?")[0])
        if len(self._open) >= STREAMS_MAX:
            why = f"more than {STREAMS_MAX} streams"
        if why or number in self._open:
            self._say({"id": number, "end": True, "status": 403, "error": why or "number in use"})
            return
        accept = str(order.get("accept") or "application/json")
        self._open[number] = self._tasks.start(self._follow(number, path, accept), f"stream {path}")

    async def _follow(self, number: int, path: str, accept: str) -> None:
        stream: Stream | None = None
        end: dict[str, Any] = {"id": number, "end": True}
        try:
            stream = await self._client.stream("GET", path, headers={"Accept": accept})
            self._say({"id": number, "status": stream.status})
            if stream.status >= 400:
                end |= {"status": stream.status, "error": await _text(stream)}
            else:
                await self._pass_on(number, stream)
        except (HttpError, ValueError) as error:
            end["error"] = str(error)
        except ConnectionResetError:
            return  # The page has gone.
        finally:
            if stream is not None:
                stream.close()
            self._open.pop(number, None)
        self._say(end)

    async def _pass_on(self, number: int, stream: Stream) -> None:
        head = f"{number}\n".encode()
        rest = b""
        while chunk := await stream.read():
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                self._raw.write(self._socket.frame(BINARY, head + whole))
                await self._raw.drain()
        if rest:
            self._raw.write(self._socket.frame(BINARY, head + rest))

    def _say(self, message: dict[str, Any]) -> None:
        self._raw.write(self._socket.frame(TEXT, orjson.dumps(message)))


async def _text(stream: Stream) -> str:
    """The message of the Status that a failed request is answered with."""
    data = b""
    while len(data) < ERROR_BYTES_MAX and (chunk := await stream.read()):
        data += chunk
    try:
        return str(orjson.loads(data)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return data.decode(errors="replace")
