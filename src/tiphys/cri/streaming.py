"""The streaming server of a CRI runtime: where Exec, Attach and PortForward URLs lead.

    streaming = StreamingServer(handlers, SystemClock())
    await streaming.listen("127.0.0.1", 0)
    CriServer({"Exec": streaming.exec, "Attach": streaming.attach,
               "PortForward": streaming.port_forward, ...}, ...)

Each call gives a URL with a token for one use; whoever comes with it is upgraded to SPDY/3.1 or
WebSocket. It listens on loopback: the kubelet authorises, and passes the bytes on.
Upstream: staging/src/k8s.io/cri-streaming (server.go, request_cache.go).
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tiphys.cri import streaming_spdy, streaming_websocket
from tiphys.cri.errors import CriError, invalid
from tiphys.cri.streaming_channels import (
    STDERR,
    STDIN,
    STDOUT,
    Duplex,
    Raw,
    StreamHandlers,
    Streams,
    encode_status,
    error_status,
    exit_status,
    success_status,
)
from tiphys.lib.clock import Clock
from tiphys.lib.http import websocket
from tiphys.lib.http.message import Answer, Headers, Request, Response, UpgradeResponse
from tiphys.lib.http.server import HttpServer, Limits

log = logging.getLogger(__name__)

TOKEN_SECONDS: Final = 60.0  # request_cache.go cacheTTL
TOKENS_MAX: Final = 1000  # request_cache.go maxInFlight
SPDY_UPGRADE: Final = "SPDY/3.1"


@dataclass(frozen=True, slots=True)
class _Granted:
    """What a token stands for."""

    kind: str  # exec, attach or portforward
    request: Mapping[str, Any]
    until: float


class StreamingServer:
    """See the module."""

    def __init__(
        self,
        handlers: StreamHandlers,
        clock: Clock,
        make_token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._handlers = handlers
        self._clock = clock
        self._make_token = make_token
        self._granted: dict[str, _Granted] = {}
        self._server = HttpServer(self._answer, tls=None, limits=Limits(connections_max=1024))
        self._base_url = ""

    async def listen(self, host: str, port: int = 0) -> int:
        """Returns the port. Raises OSError."""
        port = await self._server.listen(host, port)
        self._base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return port

    async def stop(self) -> None:
        await self._server.stop()

    async def exec(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The CRI call Exec. Raises CriError."""
        _check_streams(request, "exec")
        return {"url": self._grant("exec", request)}

    async def attach(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The CRI call Attach. Raises CriError."""
        _check_streams(request, "attach")
        return {"url": self._grant("attach", request)}

    async def port_forward(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The CRI call PortForward. Raises CriError."""
        if not request.get("pod_sandbox_id"):
            raise invalid("missing required pod_sandbox_id")
        return {"url": self._grant("portforward", request)}

    def _grant(self, kind: str, request: Mapping[str, Any]) -> str:
        now = self._clock.monotonic()
        for token in [t for t, g in self._granted.items() if g.until < now]:
            del self._granted[token]
        if len(self._granted) >= TOKENS_MAX:
            raise CriError("RESOURCE_EXHAUSTED", "maximum number of in-flight requests exceeded")
        token = self._make_token()
        self._granted[token] = _Granted(kind, request, now + TOKEN_SECONDS)
        return f"{self._base_url}/{kind}/{token}"

    def _answer(self, request: Request) -> Answer:
        _, _, rest = request.raw_path.partition("/")
        kind, _, token = rest.partition("/")
        granted = self._granted.get(token)
        if granted is None or granted.kind != kind or granted.until < self._clock.monotonic():
            return _text(404, "404 page not found\n")
        if not request.wants_upgrade:
            return _text(400, "unable to upgrade: missing upgrade headers in request\n")
        del self._granted[token]
        upgrade = request.headers["upgrade"].lower()
        if upgrade == "websocket":
            return self._answer_websocket(request, granted)
        if upgrade == SPDY_UPGRADE.lower():
            return self._answer_spdy(request, granted)
        return _text(400, f"unable to upgrade: unknown protocol {upgrade}\n")

    def _answer_spdy(self, request: Request, granted: _Granted) -> Answer:
        offered = [
            p.strip() for p in request.headers.get("x-stream-protocol-version", "").split(",") if p
        ]
        if granted.kind == "portforward":
            supported: tuple[str, ...] = (streaming_spdy.PORT_FORWARD_PROTOCOL,)
        else:
            supported = streaming_spdy.REMOTE_COMMAND_PROTOCOLS
        # A client that names no protocol speaks the oldest.
        protocol = next((p for p in offered if p in supported), None) if offered else supported[-1]
        headers: Headers = (("Connection", "Upgrade"), ("Upgrade", SPDY_UPGRADE))
        if protocol is None:
            accepted = tuple(("X-Accepted-Stream-Protocol-Versions", p) for p in supported)
            return _text(
                403, f"unable to upgrade: unable to negotiate protocol: {offered}\n", accepted
            )
        if offered:
            headers += (("X-Stream-Protocol-Version", protocol),)
        session = _Session(self._handlers, granted)
        if granted.kind == "portforward":
            return UpgradeResponse(session.forward_spdy, headers)
        version = int(protocol[1]) if protocol[0] == "v" else 1

        async def run(raw: Raw) -> None:
            work = session.work(as_json=version >= 4)
            await streaming_spdy.serve_remote_command(
                raw, session.wanted, work, tty=session.tty, version=version
            )

        return UpgradeResponse(run, headers)

    def _answer_websocket(self, request: Request, granted: _Granted) -> Answer:
        key = request.headers.get("sec-websocket-key", "")
        if not key or request.headers.get("sec-websocket-version") != "13":
            return _text(400, "not a WebSocket handshake of version 13\n")
        forwarding = granted.kind == "portforward"
        if forwarding:
            supported: tuple[str, ...] = (
                streaming_websocket.TUNNEL_PROTOCOL,
                *streaming_websocket.PORT_FORWARD_PROTOCOLS,
            )
        else:
            supported = streaming_websocket.REMOTE_COMMAND_PROTOCOLS
        offered = request.headers.get("sec-websocket-protocol", "")
        protocol = websocket.choose_protocol(offered, supported) if offered else ""
        if protocol is None:
            return _text(403, f"unable to negotiate protocol: client offered {offered}\n")
        headers: Headers = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", websocket.accept_key(key)),
        )
        if protocol:
            headers += (("Sec-WebSocket-Protocol", protocol),)
        session = _Session(self._handlers, granted)
        if protocol == streaming_websocket.TUNNEL_PROTOCOL:
            return UpgradeResponse(session.forward_tunnel, headers)

        async def run(raw: Raw) -> None:
            if forwarding:
                ports = list(granted.request.get("port") or [])
                await streaming_websocket.serve_port_forward(
                    raw, ports, session.forward, protocol=protocol
                )
            else:
                work = session.work(as_json=protocol.startswith(("v4.", "v5.")))
                await streaming_websocket.serve_remote_command(
                    raw, session.wanted, work, protocol=protocol
                )

        return UpgradeResponse(run, headers)


class _Session:
    """A granted request joined to the runtime's handlers."""

    def __init__(self, handlers: StreamHandlers, granted: _Granted) -> None:
        self._handlers = handlers
        self._kind = granted.kind
        self._request = granted.request
        self.tty = bool(granted.request.get("tty"))
        asked = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr"}
        self.wanted = frozenset(s for s, name in asked.items() if granted.request.get(name))

    def work(self, *, as_json: bool) -> Callable[[Streams], Any]:
        async def run(streams: Streams) -> bytes:
            return encode_status(await self._run(streams), as_json=as_json)

        return run

    async def _run(self, streams: Streams) -> dict[str, Any]:
        container_id = str(self._request.get("container_id", ""))
        try:
            if self._kind == "exec":
                command = list(self._request.get("cmd") or [])
                code = await self._handlers.exec(
                    container_id, command, tty=self.tty, streams=streams
                )
                return exit_status(command, code)
            await self._handlers.attach(container_id, tty=self.tty, streams=streams)
        except CriError as exc:
            doing = "executing command in" if self._kind == "exec" else "attaching to"
            return error_status(f"error {doing} container: {exc.message}")
        return success_status()

    async def forward(self, port: int, stream: Duplex) -> None:
        if not 0 < port < 1 << 16:
            raise invalid(f"{port} is not a port")
        await self._handlers.port_forward(str(self._request["pod_sandbox_id"]), port, stream)

    async def forward_spdy(self, raw: Raw) -> None:
        await streaming_spdy.serve_port_forward(raw, self.forward)

    async def forward_tunnel(self, raw: Raw) -> None:
        await streaming_spdy.serve_port_forward(streaming_websocket.Tunnel(raw), self.forward)


def _check_streams(request: Mapping[str, Any], what: str) -> None:
    if not request.get("container_id"):
        raise invalid("missing required container_id")
    if request.get("tty") and request.get("stderr"):
        raise invalid("tty and stderr cannot both be true")
    if not any(request.get(name) for name in ("stdin", "stdout", "stderr")):
        raise invalid(f"one of stdin, stdout, or stderr must be set to {what}")


def _text(status: int, text: str, headers: Headers = ()) -> Response:
    return Response(
        status, text.encode(), (("Content-Type", "text/plain; charset=utf-8"), *headers)
    )
