"""An HTTP/2 client for tests: python's h2 on a socket, with every frame in the test's hand."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes, Settings

GOAWAY = 7  # RFC 9113 section 6.8


@dataclass
class Reply:
    """What came on one stream until now."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    informed: list[int] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None


class Http2Client:
    """`reads`: acknowledge what comes, so that the server's windows open again."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, window: int = 65_535
    ) -> None:
        self.frames = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.frames.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self.frames.initiate_connection()
        self.replies: dict[int, Reply] = {}
        self.goaway: int | None = None
        self.closed = False
        self.reads = True
        self._received = b""
        self._reader, self._writer = reader, writer
        self._changed = asyncio.Condition()
        self._task = asyncio.get_running_loop().create_task(self._receive())
        self.flush()

    @classmethod
    async def connect(
        cls, port: int, context: ssl.SSLContext, *, window: int = 65_535
    ) -> "Http2Client":
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen == "h2"
        return cls(reader, writer, window=window)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        ends: bool = True,
    ) -> int:
        """Send a request; the stream's number. Without `ends` more may be sent."""
        number = self.frames.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "x")]
        fields += list((headers or {}).items())
        self.replies[number] = Reply()
        self.frames.send_headers(number, fields, end_stream=ends and not body)
        if body:
            self.frames.send_data(number, body, end_stream=ends)
        self.flush()
        return number

    async def reply(self, number: int) -> Reply:
        """The whole answer, or what there was when it was reset."""
        reply = self.replies[number]
        await self.until(lambda: reply.ended or reply.reset is not None)
        return reply

    async def get(self, path: str, *, method: str = "GET") -> Reply:
        return await self.reply(self.ask(method, path))

    async def until(self, true: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: true() or self.closed)
        assert true(), "the connection was closed before"

    def flush(self) -> None:
        self._writer.write(self.frames.data_to_send())

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    async def close(self) -> None:
        self._task.cancel()
        self._writer.close()

    async def _receive(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                for event in self.frames.receive_data(self._without_goaway(data)):
                    self._take(event)
                self.flush()
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionError:
            pass
        finally:
            self.closed = True
            async with self._changed:
                self._changed.notify_all()

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames, but for GOAWAY: h2 takes nothing more after one, and clients must."""
        self._received += data
        passed = b""
        while len(self._received) >= 9:
            end = 9 + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                break
            frame, self._received = self._received[:end], self._received[end:]
            if frame[3] == GOAWAY:
                self.goaway = int.from_bytes(frame[13:17], "big")
            else:
                passed += frame
        return passed

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                reply = self.replies[event.stream_id]
                reply.headers = {str(n): str(v) for n, v in event.headers}
                reply.status = int(reply.headers.pop(":status"))
            case InformationalResponseReceived():
                told = {str(n): str(v) for n, v in event.headers}
                self.replies[event.stream_id].informed.append(int(told[":status"]))
            case DataReceived():
                self.replies[event.stream_id].body += event.data
                if self.reads:
                    length = event.flow_controlled_length
                    self.frames.acknowledge_received_data(length, event.stream_id)
            case StreamEnded():
                self.replies[event.stream_id].ended = True
            case StreamReset():
                self.replies[event.stream_id].reset = int(event.error_code or 0)
