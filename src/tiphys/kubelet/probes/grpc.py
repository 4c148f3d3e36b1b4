"""grpc probes: grpc.health.v1.Health/Check. Upstream: pkg/probe/grpc/grpc.go.

The two messages have one field each, so they are written and read here by hand.
"""

import asyncio
from typing import Any, Final

import grpclib.client
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from tiphys.api.meta import Obj
from tiphys.kubelet.probes.probe import Outcome, Target, join_host_port, port_number

SERVING: Final = 1
_STATUS_FIELD: Final = 0x08  # HealthCheckResponse.status, varint
_NAMES: Final = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class _HealthCodec(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        name = str(message).encode()
        return b"\x0a" + bytes((len(name),)) + name if name else b""

    def decode(self, data: bytes, message_type: Any) -> int:
        return data[1] if len(data) == 2 and data[0] == _STATUS_FIELD else 0


async def run(action: Obj, target: Target, timeout_seconds: int) -> Outcome:
    port = port_number(action["port"], target.container)
    where = join_host_port(target.pod_ip, port)
    channel = grpclib.client.Channel(target.pod_ip, port, codec=_HealthCodec())
    types: Any = (str, int)
    check: Any = grpclib.client.UnaryUnaryMethod(channel, "/grpc.health.v1.Health/Check", *types)
    try:
        async with asyncio.timeout(timeout_seconds):
            status: int = await check(action.get("service") or "", timeout=timeout_seconds)
    except GRPCError as exc:
        if exc.status.name == "UNIMPLEMENTED":
            why = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return Outcome("failure", f"error: {why}: {exc.message}")
        return Outcome("failure", f"error: health rpc probe failed: {exc.message}")
    except (OSError, TimeoutError, ProtocolError, StreamTerminatedError):
        why = f'failed to connect service "{where}" within {timeout_seconds}s'
        return Outcome("failure", f"timeout: {why}: context deadline exceeded")
    finally:
        channel.close()
    if status == SERVING:
        return Outcome("success")
    shown = _NAMES.get(status, str(status))
    return Outcome("failure", f'service unhealthy (responded with "{shown}")')
