"""One request and its answer: who answers it, and the bytes both ways at the slower side's pace.

An endpoint that cannot be reached is followed by another one, as nothing was sent. One that fails
later is followed only where the request may be repeated: it changes nothing and has no body.
"""

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Final

from tiphys.ingress.builtin.backend import BackendConnection
from tiphys.ingress.builtin.heads import (
    Framing,
    Headers,
    RequestHead,
    encode_answer,
    encode_request,
    encode_switch,
    framing,
    own_answer,
)
from tiphys.ingress.table import Endpoint, Options

if TYPE_CHECKING:
    from tiphys.ingress.builtin.client import ClientConnection
    from tiphys.ingress.builtin.service import Destination

log = logging.getLogger(__name__)

TRIES_MAX: Final = 3  # ingress-nginx proxy-next-upstream-tries
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """Made when a request's head has come; `start` when it is its turn on its connection."""

    def __init__(self, client: "ClientConnection", head: RequestHead) -> None:
        self.head = head
        self.is_head = head.method == b"HEAD"
        self.started = False
        self.complete = False  # The whole request has come.
        self.touched = client.service.now  # When something moved last.
        self._client = client
        self._options = Options()
        self._destination: Destination | None = None
        self._backend: BackendConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._endpoints: list[Endpoint] = []  # Still to be tried.
        self._tries = 0
        self._fresh_only = False  # No more kept connections.
        self._held: list[bytes] = []  # Of the body, until there is a backend.
        self._body_bytes = 0
        self._up: list[bytes] = []
        self._down: list[bytes] = []
        self._frame: Framing | None = None  # Known from the answer's head on.
        self._is_tunnel = False
        self._over = False

    # --- the client's side

    def start(self) -> None:
        self.started = True
        found = self._client.service.destination(self.head, self._client.origin)
        if isinstance(found, tuple):
            self.answer(*found)
            return
        self._destination = found
        self._options = found.location.options
        limit = self._options.body_bytes_max
        if limit and max(self._body_bytes, int(self.head.length or 0)) > limit:
            self.answer(413, f"the request is larger than {limit} bytes")
            return
        self._endpoints = found.endpoints
        if not self._endpoints:
            self.answer(503, f"no endpoint of {found.location.backend.name} is ready")
            return
        if self.head.expects_continue and not self.complete:
            self._client.write([_CONTINUE])
        self._try_next()

    def body(self, data: bytes) -> None:
        """A piece of the request's body."""
        self.touched = self._client.service.now
        self._body_bytes += len(data)
        limit = self._options.body_bytes_max
        if limit and self._body_bytes > limit and not self._over:
            if self._frame is None:
                self._drop_backend()
                self.answer(413, f"the request is larger than {limit} bytes")
            else:
                self._fail_client()
        elif not self._over:
            (self._held if self._backend is None else self._up).append(self._framed_up(data))

    def end(self) -> None:
        """The request's end."""
        self.complete = True
        if self.head.chunked and not self._over:
            (self._held if self._backend is None else self._up).append(b"0\r\n\r\n")

    def _framed_up(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self.head.chunked else data

    def flush_up(self) -> None:
        if self._up and self._backend is not None:
            pieces, self._up = self._up, []
            self._backend.write(pieces)

    @property
    def is_full(self) -> bool:
        """Whether more of the request should stay with the client for now."""
        if self._backend is None:
            return bool(self._held)
        return not self._backend.writable

    @property
    def has_answered(self) -> bool:
        """Whether a part of the answer has gone to the client."""
        return self._frame is not None

    def client_gone(self) -> None:
        self._over = True
        self._drop_backend()

    def client_full(self) -> None:
        if self._backend is not None:
            self._backend.pause_reading()

    def client_takes(self) -> None:
        self.touched = self._client.service.now
        if self._backend is not None:
            self._backend.resume_reading()

    # --- finding a backend

    def _try_next(self) -> None:
        assert self._destination is not None
        self._tries += 1
        endpoint = self._endpoints.pop(0)
        tls = self._options.backend_tls
        pool = self._client.service.pool
        if not self._fresh_only:
            kept = pool.take(endpoint, tls=tls, repeatable=self._repeatable)
            if kept is not None:
                self._send(kept)
                return
        self._task = self._client.service.tasks.start(self._connect(endpoint), "connect")

    async def _connect(self, endpoint: Endpoint) -> None:
        pool = self._client.service.pool
        seconds = self._options.connect_seconds
        try:
            connection = await pool.connect(
                endpoint, tls=self._options.backend_tls, seconds=seconds
            )
        except (OSError, TimeoutError) as exc:
            self._task = None
            late = isinstance(exc, TimeoutError) and not str(exc)
            why = f"not in {seconds} s" if late else str(exc)
            why = f"cannot connect to {endpoint.address}:{endpoint.port}: {why}"
            self._try_another(why, status=504 if late else 502)
            return
        self._task = None
        if self._over:
            pool.give(connection)
            return
        self._send(connection)
        self.flush_up()
        self._client.update_reading()

    def _send(self, connection: BackendConnection) -> None:
        assert self._destination is not None
        self._backend = connection
        self.touched = self._client.service.now
        connection.begin(self)
        request_id = self.head.request_id or os.urandom(16).hex().encode()
        target = self._destination.target
        self._up.append(encode_request(self.head, target, self._client.origin, request_id))
        if self._held:
            self._up += self._held
            self._held = []
        self.flush_up()

    @property
    def _repeatable(self) -> bool:
        return self.head.method in _IDEMPOTENT and self.complete and not self._body_bytes

    def backend_failed(self, connection: BackendConnection, why: str) -> None:
        """It broke before the answer's end."""
        self._backend = None
        if self._over:
            return
        if self._frame is not None:
            self._log_failure(why)
            self._fail_client()
            return
        if self._repeatable:
            if connection.served and not self._fresh_only:
                # Kept too long: that was no try. The others may have been kept as long.
                self._fresh_only = True
                self._tries -= 1
                self._endpoints.append(connection.endpoint)
            self._up.clear()
            self._try_another(why)
        else:
            self._log_failure(why)
            self.answer(502, "the endpoint failed before it had answered")

    def _try_another(self, why: str, status: int = 502) -> None:
        if self._over:
            return
        if self._endpoints and self._tries < TRIES_MAX:
            self._try_next()
            return
        self._log_failure(why)
        self.answer(status, "no endpoint could be reached")

    def _log_failure(self, why: str) -> None:
        assert self._destination is not None
        name = self._destination.location.backend.name
        log.info("backend failed", extra={"backend": name, "why": why})

    # --- the backend's side

    def answer_head(
        self, status: int, reason: bytes, headers: Headers, *, has_length: bool
    ) -> None:
        assert self._destination is not None
        self._frame = framing(
            status,
            is_head=self.is_head,
            has_length=has_length,
            http_1_0=self.head.http_1_0,
            close=self._client.closes_after(self),
        )
        self._down.append(encode_answer(status, reason, headers, self._frame))

    def answer_body(self, data: bytes) -> None:
        assert self._frame is not None
        if self._frame.chunked:
            self._down += (b"%x\r\n" % len(data), data, b"\r\n")
        elif self._frame.has_body:
            self._down.append(data)

    def flush_down(self) -> None:
        self.touched = self._client.service.now
        if self._down:
            pieces, self._down = self._down, []
            self._client.write(pieces)

    def answered(self, connection: BackendConnection) -> None:
        """The answer is whole."""
        assert self._frame is not None
        self._over = True
        self._backend = None
        if self._frame.chunked:
            self._down.append(b"0\r\n\r\n")
        self.flush_down()
        if self.complete:
            self._client.service.pool.give(connection)
        else:
            connection.abort()  # It has answered without the rest of the request.
        self._client.finished(close=self._frame.close or not self.complete)

    def backend_full(self) -> None:
        self._client.update_reading()

    def backend_takes(self) -> None:
        self.touched = self._client.service.now
        self._client.update_reading()

    # --- tunnels

    def switched(self, headers: Headers, rest: bytes) -> None:
        """The backend has switched protocols: from now on only bytes."""
        if not self.head.upgrade:
            connection = self._backend
            assert connection is not None
            connection.leave()
            self.backend_failed(connection, "it switched protocols, unasked")
            return
        self._is_tunnel = True
        self._client.write([encode_switch(headers), rest] if rest else [encode_switch(headers)])
        self._client.switch()

    def tunnel_up(self, data: bytes) -> None:
        self.touched = self._client.service.now
        if self._backend is not None:
            self._backend.write([data])

    def tunnel_down(self, data: bytes) -> None:
        self.touched = self._client.service.now
        self._client.write([data])

    def tunnel_ended(self) -> None:
        self._over = True
        self._backend = None
        self._client.finished(close=True)

    # --- ends of another kind

    def answer(self, status: int, text: str, location: str = "") -> None:
        """Answer it ourselves."""
        self._over = True
        self._held.clear()
        unsure = status == 400 or not self.complete
        close = unsure or self._client.closes_after(self)
        more = [("Location", location)] if location else []
        self._client.write([own_answer(status, text, close=close, more=more, head=self.is_head)])
        self._client.finished(close=close)

    def check(self, now: float) -> None:
        """Give up when nothing has moved for too long."""
        limit = self._options.read_seconds
        if not self.started or self._over or now - self.touched <= limit or self._task is not None:
            return
        waits_for_client = not self.complete and not self.is_full
        self._drop_backend()
        if self._frame is not None or self._is_tunnel:
            self._fail_client()
        elif waits_for_client:
            self.answer(408, "the rest of the request did not come")
        else:
            self.answer(504, f"no answer from the endpoint in {limit} s")

    def _fail_client(self) -> None:
        """Cut it off: what was sent must not look whole."""
        self._over = True
        self._drop_backend()
        self._client.abort()

    def _drop_backend(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._backend is not None:
            backend, self._backend = self._backend, None
            if self._is_tunnel:
                backend.end_tunnel()
            else:
                backend.leave()
