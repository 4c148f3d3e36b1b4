"""Client of a CRI v1 runtime (ours, containerd, CRI-O) on a unix socket.

`call` names methods as upstream does ("RunPodSandbox"); requests and answers are dicts of the
table (see codec). One HTTP/2 connection, opened on first use and again when it broke.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpclib.client
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from tiphys.cri.errors import CriError
from tiphys.cri.schema import schema
from tiphys.lib.grpc.codec import CodecError
from tiphys.lib.grpc.schema import Method
from tiphys.lib.grpc.wire import TableCodec
from tiphys.lib.metrics import Counter, Histogram

CALL_SECONDS: Final = 120.0  # Upstream kubelet: runtimeRequestTimeout defaults to 2 minutes.


class CriClient:
    """Calls to the runtime that listens on socket_path. Close it with `close`."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path.removeprefix("unix://")
        self._channel: grpclib.client.Channel | None = None
        self.operations = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
            ("operation_type",),
        )
        self.errors = Counter(
            "kubelet_runtime_operations_errors_total",
            "[ALPHA] Cumulative number of runtime operation errors by operation type.",
            ("operation_type",),
        )

    async def call(
        self, method: str, request: Mapping[str, Any], timeout_seconds: float | None = CALL_SECONDS
    ) -> dict[str, Any]:
        """One unary call; None waits for ever.

        Raises: CriError (UNAVAILABLE when nobody listens, DEADLINE_EXCEEDED after the timeout).
        """
        entry = schema().methods[method]
        if entry.streams:
            raise ValueError(f"{method} answers with a stream")
        types: Any = (entry.request, entry.response)
        stub: Any = grpclib.client.UnaryUnaryMethod(self._open(), entry.path, *types)
        began = time.monotonic()
        try:
            answer: dict[str, Any] = await stub(request, timeout=timeout_seconds)
            self.operations.observe(time.monotonic() - began, operation_name(method))
            return answer
        except _FOREIGN as exc:
            self.errors.add(operation_name(method))
            raise self._translated(exc, method) from exc

    async def stream(
        self, method: str, request: Mapping[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """The messages of a streaming method, until the runtime ends it.

        Raises: CriError (UNIMPLEMENTED by runtimes without it, UNAVAILABLE when it breaks).
        """
        entry: Method = schema().methods[method]
        types: Any = (entry.request, entry.response)
        stub: Any = grpclib.client.UnaryStreamMethod(self._open(), entry.path, *types)
        try:
            async with stub.open() as stream:
                await stream.send_message(request, end=True)
                async for message in stream:
                    yield message
        except _FOREIGN as exc:
            raise self._translated(exc, method) from exc

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """ContainerEventResponse messages as they happen."""
        return self.stream("GetContainerEvents", {})

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _open(self) -> grpclib.client.Channel:
        if self._channel is None:
            self._channel = grpclib.client.Channel(
                path=self.socket_path, codec=TableCodec(schema())
            )
        return self._channel

    def _translated(self, exc: Exception, method: str) -> CriError:
        if isinstance(exc, GRPCError):
            return CriError(exc.status.name, exc.message or "")
        if isinstance(exc, TimeoutError | asyncio.TimeoutError):
            return CriError("DEADLINE_EXCEEDED", f"{method}: no answer in time")
        if isinstance(exc, CodecError):
            return CriError("INTERNAL", f"{method}: {exc}")
        return CriError(
            "UNAVAILABLE", f"{method} on {self.socket_path}: {exc or 'connection lost'}"
        )


def operation_name(method: str) -> str:
    """`RunPodSandbox` as upstream's metrics call it: run_podsandbox."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.replace("PodSandbox", "Podsandbox"))
    return words.lower()


_FOREIGN: Final = (
    GRPCError,
    ProtocolError,
    StreamTerminatedError,
    CodecError,
    OSError,
    TimeoutError,
    asyncio.TimeoutError,
)
