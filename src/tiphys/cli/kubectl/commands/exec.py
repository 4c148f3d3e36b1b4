"""`kubectl exec [-it] POD -- COMMAND`: over WebSocket, v5.channel.k8s.io.

client -> server   byte 0 stdin, byte 4 terminal size, byte 255 close of a channel
server -> client   byte 1 stdout, byte 2 stderr, byte 3 a Status at the end
"""

import argparse
import base64
import os
import select
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from tiphys.api.errors import from_status
from tiphys.api.meta import GroupVersionResource, Obj
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.kubectl.commands.logs import pod_name
from tiphys.cli.output import CommandError
from tiphys.lib.http.websocket import BINARY, CLOSE, TEXT, WebSocket, accept_key

PODS: Final = GroupVersionResource("", "v1", "pods")
PROTOCOL: Final = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE_CHANNEL = 0, 1, 2, 3, 4, 255
_READ_BYTES: Final = 65536
_UNSENT_BYTES_MAX: Final = 4 * _READ_BYTES  # Of input read and not yet sent.


def run(kube: KubeClient, arguments: Sequence[str]) -> int:
    words = list(arguments)
    command: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1 :]
    parser = argparse.ArgumentParser(prog="kubectl exec")
    parser.add_argument("pod")
    parser.add_argument("command", nargs="*")
    parser.add_argument("-c", "--container", default="")
    parser.add_argument("-i", "--stdin", action="store_true")
    parser.add_argument("-t", "--tty", action="store_true")
    options = parser.parse_args(words)
    command = command or options.command
    if not command:
        raise CommandError("you must specify at least one command for the container")
    tty = options.tty and sys.stdin.isatty()
    if options.tty and not tty:
        print("Unable to use a TTY - input is not a terminal", file=sys.stderr)
    query = [("command", c) for c in command] + [("stdout", "true")]
    query += [("stdin", "true")] if options.stdin else []
    query += [("tty", "true")] if tty else [("stderr", "true")]
    query += [("container", options.container)] if options.container else []
    name = pod_name(kube, options.pod)
    target = path_of(PODS, kube.namespace, name, "exec") + "?" + urlencode(query)
    with _terminal(tty):
        return _Session(kube, target, stdin=options.stdin, tty=tty).run()


class _Session:
    """Both directions at once, without blocking: input is read only while it can be sent on.

    A server that cannot get rid of a command's output stops reading our input, so output must be
    taken while input waits.
    """

    def __init__(self, kube: KubeClient, target: str, *, stdin: bool, tty: bool) -> None:
        self._tty = tty
        self._stdin: Any = sys.stdin.fileno() if stdin else None
        self._socket, rest = _upgrade(kube, target)
        self._socket.setblocking(False)
        self._web = WebSocket(mask=lambda: os.urandom(4))
        self._rest = rest
        self._unsent = bytearray()
        self._code: int | None = None

    def run(self) -> int:
        with _window_changes(self._tty) as changes:
            if self._tty:
                self._send_size()
            self._received(self._rest)
            while self._code is None:
                self._once(changes)
        return self._code

    def _once(self, changes: socket.socket) -> None:
        """Wait until something can be done, and do it."""
        self._flush()
        reading: list[Any] = [self._socket, changes]
        if self._stdin is not None and len(self._unsent) < _UNSENT_BYTES_MAX:
            reading.append(self._stdin)
        writing = [self._socket] if self._unsent else []
        seconds = 0.0 if self._socket.pending() else None  # TLS may hold what no socket shows.
        ready, _, _ = select.select(reading, writing, [], seconds)
        if self._socket in ready or seconds is not None:
            self._read_socket()
        if self._stdin in ready and self._code is None:
            self._read_stdin()
        if changes in ready:
            changes.recv(_READ_BYTES)
            self._send_size()

    def _read_socket(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as exc:
            raise _broken(exc) from exc
        if not data:
            self._code = self._code if self._code is not None else 1
            return
        self._received(data)

    def _read_stdin(self) -> None:
        data = os.read(self._stdin, _READ_BYTES)
        if data:
            self._send(bytes([STDIN]) + data)
        else:
            self._stdin = None
            self._send(bytes([CLOSE_CHANNEL, STDIN]))

    def _received(self, data: bytes) -> None:
        for message in self._web.receive(data):
            if message.opcode == CLOSE:
                self._code = self._code if self._code is not None else 1
            elif message.opcode in (BINARY, TEXT) and message.data:
                self._channel(message.data[0], message.data[1:])
        self._unsent += self._web.outgoing()

    def _channel(self, channel: int, data: bytes) -> None:
        if channel == STDOUT:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        elif channel == STDERR:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        elif channel == ERROR and data:
            self._code = exit_code(orjson.loads(data))

    def _send(self, data: bytes) -> None:
        self._unsent += self._web.frame(BINARY, data)

    def _flush(self) -> None:
        """Send what the connection takes now."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as exc:
            raise _broken(exc) from exc

    def _send_size(self) -> None:
        with suppress(OSError):
            size = os.get_terminal_size(sys.stdin.fileno())
            body = orjson.dumps({"Width": size.columns, "Height": size.lines})
            self._send(bytes([RESIZE]) + body)


def _broken(exc: OSError) -> CommandError:
    return CommandError(f"the connection to the server broke: {exc}")


@contextmanager
def _window_changes(tty: bool) -> Iterator[socket.socket]:
    """A socket that can be read after the terminal's size has changed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        if tty:
            signal.signal(signal.SIGWINCH, lambda *_: None)
            signal.set_wakeup_fd(theirs.fileno())
        try:
            yield ours
        finally:
            if tty:
                signal.set_wakeup_fd(-1)


def exit_code(status: Obj) -> int:
    """The command's exit code from the Status of the error channel; says what else failed."""
    if status.get("status") == "Success":
        return 0
    if status.get("reason") == "NonZeroExitCode":
        for cause in (status.get("details") or {}).get("causes") or []:
            if cause.get("reason") == "ExitCode":
                print(f"command terminated with exit code {cause['message']}", file=sys.stderr)
                return int(cause["message"])
    print(f"error: {status.get('message', 'the command failed')}", file=sys.stderr)
    return 1


def _upgrade(kube: KubeClient, target: str) -> tuple[Any, bytes]:
    """A socket after the WebSocket handshake, and bytes that came with it.

    Raises ApiError, Unreachable, CommandError.
    """
    connection = kube.open_stream()
    raw: socket.socket = connection.sock
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {connection.host}:{connection.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
    ]
    if kube.access.token is not None:
        lines.append("Authorization: Bearer " + str.__str__(kube.access.token))
    raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = raw.recv(_READ_BYTES)
        if not piece:
            raise CommandError("the server closed the connection")
        head += piece
    head, _, rest = head.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status != 101:
        raise _refused(raw, head, rest, status)
    if accept_key(key).encode() not in head:
        raise CommandError("the server's handshake does not answer ours")
    return raw, rest


def _refused(raw: socket.socket, head: bytes, rest: bytes, status: int) -> Exception:
    """The error that a server answers instead of the upgrade."""
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(rest) < length and (piece := raw.recv(_READ_BYTES)):
        rest += piece
    try:
        body = orjson.loads(rest)
    except orjson.JSONDecodeError:
        body = {"message": rest.decode(errors="replace")}
    return from_status(body if isinstance(body, dict) else {}, status)


@contextmanager
def _terminal(tty: bool) -> Iterator[None]:
    """The terminal passes every key on while the command runs."""
    if not tty:
        yield
        return
    import termios
    import tty as terminal

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        terminal.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
