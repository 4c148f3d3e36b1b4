"""`kubectl exec` against a server that stops reading while nobody takes its output."""

import base64
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import yaml

from support.throwaway_pki import Authority
from tiphys.lib.http.websocket import BINARY, WebSocket, accept_key
from tiphys.lib.tls import server_context

INPUT_BYTES = 48 << 20  # Many times what sockets and pipes hold.


class Echo:
    """One connection: the handshake, then every byte of standard input back as output.

    It writes before it reads on, as a chain of pipes does.
    """

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory)
        cert, key = authority.issue("server", server=True)
        authority.issue("client")
        self._tls = server_context(cert, key, [authority.path])
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(_config(directory, self.port)))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # Wakes who waits in accept; twice is fine.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            plain, _ = self._listening.accept()
            with plain, self._tls.wrap_socket(plain, server_side=True) as stream:
                self._answer(stream)

    def _answer(self, stream: ssl.SSLSocket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += stream.recv(65536)
        lines = head.decode().split("\r\n")
        key = next(line.split(": ")[1] for line in lines if line.startswith("Sec-WebSocket-Key"))
        stream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
        )
        web = WebSocket()
        while data := stream.recv(65536):
            for message in web.receive(data):
                if message.data[0] == 0:
                    stream.sendall(web.frame(BINARY, b"\x01" + bytes(message.data[1:])))
                elif message.data[0] == 255:
                    status = orjson.dumps({"status": "Success"})
                    stream.sendall(web.frame(BINARY, b"\x03" + status))


def _config(directory: Path, port: int) -> dict[str, object]:
    def data(name: str) -> str:
        return base64.b64encode((directory / name).read_bytes()).decode()

    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": data("ca.crt"),
    }
    user = {
        "client-certificate-data": data("client.crt"),
        "client-key-data": data("client.key"),
    }
    return {
        "current-context": "t",
        "clusters": [{"name": "t", "cluster": cluster}],
        "users": [{"name": "t", "user": user}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
    }


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    found = Echo(tmp_path)
    yield found
    found.close()


def _exec(kubeconfig: Path, given: bytes) -> subprocess.CompletedProcess[bytes]:
    words = ["kubectl", "--kubeconfig", str(kubeconfig), "exec", "-i", "p", "--", "cat"]
    return subprocess.run(
        [sys.executable, "-m", "tiphys", *words],
        input=given,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_large_input_and_output_pass_each_other(echo: Echo) -> None:
    given = bytes(range(256)) * (INPUT_BYTES // 256)
    done = _exec(echo.kubeconfig, given)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == given


def test_without_a_server_the_user_is_told(echo: Echo) -> None:
    echo.close()
    done = _exec(echo.kubeconfig, b"")
    assert done.returncode == 1
    text = f"The connection to the server 127.0.0.1:{echo.port} was refused - did you specify"
    assert text in done.stderr.decode()
    assert b"Traceback" not in done.stderr
