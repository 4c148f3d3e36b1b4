"""A watch over a WebSocket: the handshake, messages, and the other direction.

A server's messages carry no mask, so that all watchers can be sent the same bytes. What the client
says is read and thrown away, pings are answered, its leaving ends the watch.
Upstream: endpoints/handlers/watch.go (HandleWS), golang.org/x/net/websocket (whose server refuses
a client that names no origin, or several subprotocols of which nobody chooses one).
"""

import asyncio
from collections.abc import Awaitable, Callable

from tiphys.codec import protobuf
from tiphys.lib.http.flow import BodyWriter, RawStream
from tiphys.lib.http.message import Answer, Headers, Request, UpgradeResponse, text_response
from tiphys.lib.http.websocket import (
    BINARY,
    TEXT,
    WebSocket,
    WebSocketError,
    accept_key,
    encode_frame,
)
from tiphys.storage.watch_cache import encode_event

Write = Callable[[BodyWriter], Awaitable[None]]


def binary_message(kind: str, obj: bytes) -> bytes:
    return encode_frame(BINARY, protobuf.encode_watch_event(kind, obj))


def text_message(kind: str, obj: bytes) -> bytes:
    return encode_frame(TEXT, encode_event(kind, obj))


def socket_answer(request: Request, write: Write) -> Answer:
    """The upgrade to what `write` writes as messages, or why it is refused."""
    headers = request.headers
    key = headers.get("sec-websocket-key", "")
    protocols = [p.strip() for p in headers.get("sec-websocket-protocol", "").split(",")]
    if not key or headers.get("sec-websocket-version") != "13" or len(protocols) > 1:
        return text_response(400, "not a WebSocket handshake of version 13 with one subprotocol\n")
    if not headers.get("origin"):
        return text_response(403, "a WebSocket needs the header Origin\n")
    answered: Headers = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(key)),
    )
    if protocols[0]:
        answered += (("Sec-WebSocket-Protocol", protocols[0]),)

    async def run(stream: RawStream) -> None:
        await _serve(stream, write)

    return UpgradeResponse(run, answered)


async def _serve(stream: RawStream, write: Write) -> None:
    """Until the watch ends or the client leaves."""
    socket = WebSocket()
    loop = asyncio.get_running_loop()
    reading = loop.create_task(_read(stream, socket))
    writing = loop.create_task(_written(stream, write))
    both = (reading, writing)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        stream.write(socket.close())
        stream.close()
    if not writing.cancelled() and (error := writing.exception()) is not None:
        raise error


async def _written(stream: RawStream, write: Write) -> None:
    body = stream.body_writer()
    try:
        await write(body)
    finally:
        body.on_writable(None)


async def _read(stream: RawStream, socket: WebSocket) -> None:
    while data := await stream.read():
        try:
            socket.receive(data)
        except WebSocketError as error:
            stream.write(socket.close(error.code, str(error)))
            return
        if pongs := socket.outgoing():
            stream.write(pongs)
            await stream.drain()  # Who asks and does not read is not read from either.
        if socket.close_received:
            return  # It is answered; who has said it need not hang up first.
