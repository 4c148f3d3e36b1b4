"""Serves CRI v1 on a unix socket: method names to handlers, CriError to gRPC status.

A unary handler is `async (request) -> response`, a streaming one an async generator of responses.
Methods without a handler answer UNIMPLEMENTED.
"""

import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpclib.server
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from tiphys.cri.errors import CriError, unimplemented
from tiphys.cri.schema import schema
from tiphys.lib.grpc.codec import CodecError
from tiphys.lib.grpc.schema import Method
from tiphys.lib.grpc.wire import TableCodec
from tiphys.lib.metrics import Counter, Histogram
from tiphys.lib.prometheus_text import Family

log = logging.getLogger(__name__)

SOCKET_MODE: Final = 0o660
BACKLOG_MAX: Final = 128

Request = dict[str, Any]
Unary = Callable[[Request], Awaitable[Mapping[str, Any]]]
Streaming = Callable[[Request], AsyncIterator[Mapping[str, Any]]]


class CriServer:
    """A server for handlers by method name. `start` listens, `close` ends every stream."""

    def __init__(self, unary: Mapping[str, Unary], streaming: Mapping[str, Streaming]) -> None:
        self.calls = Calls()
        self._mapping = {
            method.path: _handler(method, unary, streaming, self.calls)
            for method in schema().methods.values()
        }
        self._server: grpclib.server.Server | None = None

    async def start(self, socket_path: str) -> None:
        """Listen on socket_path; a socket left by a dead process is replaced.

        Raises: OSError, also when a live server holds the path.
        """
        self._server = grpclib.server.Server([self], codec=TableCodec(schema()))
        await self._server.start(sock=listening_socket(socket_path))

    def __mapping__(self) -> dict[str, Any]:
        return self._mapping

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


def listening_socket(path: str) -> socket.socket:
    """A unix socket that listens on path, reachable for root only.

    Raises: OSError EADDRINUSE when somebody answers there.
    """
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)
    else:
        raise OSError(98, "another process serves this socket", path)
    finally:
        probe.close()
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.setblocking(False)
    listening.bind(path)
    os.chmod(path, SOCKET_MODE)
    listening.listen(BACKLOG_MAX)
    return listening


class Calls:
    """How often methods were called, and how long they took, as go-grpc-prometheus names it."""

    def __init__(self) -> None:
        self._handled = Counter(
            "grpc_server_handled_total",
            "Total number of RPCs completed on the server, regardless of success or failure.",
            ("grpc_method", "grpc_code"),
        )
        self._durations = Histogram(
            "grpc_server_handling_seconds",
            "Histogram of response latency (seconds) of gRPC handled by the server.",
            ("grpc_method",),
        )

    @contextmanager
    def counted(self, method: Method) -> Iterator[None]:
        began, code = time.monotonic(), "OK"
        try:
            yield
        except GRPCError as exc:
            code = exc.status.name
            raise
        finally:
            self._handled.add(method.name, code)
            if not method.streams:
                self._durations.observe(time.monotonic() - began, method.name)

    def families(self) -> list[Family]:
        return [self._handled.family(), self._durations.family()]


def _handler(
    method: Method,
    unary: Mapping[str, Unary],
    streaming: Mapping[str, Streaming],
    calls: Calls,
) -> Any:
    cardinality = Cardinality.UNARY_STREAM if method.streams else Cardinality.UNARY_UNARY

    async def answer(stream: Any) -> None:
        with calls.counted(method):
            await handle(stream)

    async def handle(stream: Any) -> None:
        try:
            request = await stream.recv_message()
            if method.name in streaming:
                async for message in streaming[method.name](request or {}):
                    await stream.send_message(message)
            elif method.name in unary:
                await stream.send_message(await unary[method.name](request or {}))
            else:
                raise unimplemented(method.name)
        except CriError as exc:
            raise GRPCError(Status[exc.code], exc.message) from exc
        except CodecError as exc:
            log.exception("message refused", extra={"method": method.name})
            raise GRPCError(Status.INTERNAL, str(exc)) from exc
        except OSError as exc:
            log.exception("call failed", extra={"method": method.name})
            raise GRPCError(Status.UNKNOWN, f"{method.name}: {exc}") from exc

    return Handler(answer, cardinality, method.request, method.response)
