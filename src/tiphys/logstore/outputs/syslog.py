"""Syslog over TLS as a receiver: RFC 5424 messages in RFC 5425's octet counting.

Syslog has no acknowledgement. Each batch has a connection of its own: everything is sent, our end
is closed, and the batch counts as taken when the receiver has then closed its end in order, with
nothing left that it had not read (a receiver that ends early resets the connection instead).
Else all of it is sent again: no line is lost, some may come twice, with the same id.
"""

import asyncio
import fcntl
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from tiphys.lib.tls import client_context
from tiphys.logstore.index import AUDIT, EVENTS
from tiphys.logstore.outputs.config import SyslogConfig
from tiphys.logstore.outputs.record import OutputError, Record

USER_INFO: Final = 1 * 8 + 6  # RFC 5424, 6.2.1: facility user, severity informational.
USER_WARNING: Final = 1 * 8 + 4
AUDIT_INFO: Final = 13 * 8 + 6  # Facility log audit.
SD_ID: Final = "tiphys@32473"  # RFC 5612: the number for examples; ours is registered nowhere.
SEND_SECONDS_MAX: Final = 30.0
CLOSE_SECONDS_MAX: Final = 10.0
_POLL_SECONDS: Final = 0.01
_SIOCOUTQ: Final = 0x5411  # tcp(7): bytes that the peer's kernel has not acknowledged.
_CLOSE_WAIT: Final = 8  # tcp_states.h: the peer has closed in order.
_HOST_MAX, _APP_MAX, _PROC_MAX = 255, 48, 128  # RFC 5424, 6


def message(record: Record) -> bytes:
    """One SYSLOG-MSG with its count in front."""
    source = record.source
    if source.origin == AUDIT:
        priority = AUDIT_INFO
    else:
        is_warning = record.stream == "stderr" or (
            source.origin == EVENTS and record.text.startswith("Warning ")
        )
        priority = USER_WARNING if is_warning else USER_INFO
    data = {"id": record.id, "namespace": source.namespace, "uid": source.uid}
    params = "".join(f' {name}="{_escaped(value)}"' for name, value in data.items() if value)
    head = (
        f"<{priority}>1 {_time(record.time)} {_word(source.node, _HOST_MAX)}"
        f" {_word(source.container or source.origin, _APP_MAX)} {_word(source.pod, _PROC_MAX)}"
        f" {source.origin} [{SD_ID}{params}] "
    )
    body = head.encode() + b"\xef\xbb\xbf" + record.text.encode()
    return b"%d %b" % (len(body), body)


def _time(time: str) -> str:
    """RFC 5424 allows six digits of a second."""
    return f"{time[:26].rstrip('Z')}Z"


def _word(text: str, most: int) -> str:
    """Printable ASCII without blanks; `-` for nothing."""
    return "".join(c for c in text if "!" <= c <= "~")[:most] or "-"


def _escaped(text: str) -> str:
    for c in ("\\", '"', "]"):
        text = text.replace(c, f"\\{c}")
    return text


class SyslogOutput:
    def __init__(self, config: SyslogConfig) -> None:
        """Raises OSError, ssl.SSLError for files that cannot be read."""
        self._config = config
        tls = config.tls
        self._context = client_context(tls.ca_file) if tls.ca_file else ssl.create_default_context()
        if tls.cert_file is not None:
            self._context.load_cert_chain(tls.cert_file, tls.key_file)

    async def send(self, records: Sequence[Record]) -> None:
        """Raises OutputError. A cancelled one ends in its thread: it is sent again later."""
        frames = b"".join(map(message, records))
        try:
            await asyncio.to_thread(self._deliver, frames)
        except OSError as exc:  # ssl.SSLError is one.
            where = f"{self._config.host}:{self._config.port}"
            raise OutputError(f"syslog at {where}: {exc}") from exc

    def _deliver(self, frames: bytes) -> None:
        address = (self._config.host, self._config.port)
        with (
            socket.create_connection(address, timeout=SEND_SECONDS_MAX) as raw,
            self._context.wrap_socket(raw, server_hostname=self._config.host) as tls,
        ):
            tls.sendall(frames)
            tls.settimeout(CLOSE_SECONDS_MAX)
            with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):  # It closed without a word.
                tls.unwrap()
            _wait_for_close(tls)

    def close(self) -> None:
        """Nothing is kept open."""


def _wait_for_close(closing: socket.socket) -> None:
    """Raises OSError unless the peer has read everything and closed in order."""
    deadline = time.monotonic() + CLOSE_SECONDS_MAX
    while time.monotonic() < deadline:
        state = closing.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0]
        (unread,) = struct.unpack("i", fcntl.ioctl(closing.fileno(), _SIOCOUTQ, b"\0" * 4))
        if state == _CLOSE_WAIT and not unread:
            return
        if state not in (1, _CLOSE_WAIT):  # 1: established.
            break
        time.sleep(_POLL_SECONDS)
    raise ConnectionError("closed before everything was read")
