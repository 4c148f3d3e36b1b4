"""Debian's docker-registry with TLS, and a token server that it trusts."""

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from support.throwaway_pki import Authority

PROGRAM = "/usr/bin/docker-registry"
LOGIN = "builder:secret"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {directory}/data}}}}
http:
  addr: 127.0.0.1:{port}
  tls: {{certificate: {cert}, key: {key}}}
auth:
  token:
    realm: https://127.0.0.1:{token_port}/token
    service: debian
    issuer: test
    rootcertbundle: {authority}
"""


class TokenServer(ThreadingHTTPServer):
    """Gives every scope that is asked for to LOGIN, and only pulls to everybody else."""

    def __init__(self, cert: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), TokenHandler)
        self.key = key.read_bytes()
        self.cert = x509.load_pem_x509_certificate(cert.read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def token(self, scopes: list[str], *, known: bool) -> str:
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            allowed = [one for one in actions.split(",") if known or one == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": "test",
            "aud": "debian",
            "sub": "x",
            "access": access,
            "jti": "1",
        }
        claims |= {"iat": now - 5, "nbf": now - 5, "exp": now + 300}
        chain = [base64.b64encode(self.cert.public_bytes(Encoding.DER)).decode()]
        return jwt.encode(claims, self.key.decode(), "ES256", headers={"x5c": chain})


class TokenHandler(BaseHTTPRequestHandler):
    server: TokenServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        known = self.headers.get("authorization", "") == wanted
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        body = json.dumps({"token": self.server.token(scopes, known=known)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[tuple[str, Path]]:
    """Its host, and a directory of authorities as Docker's certs.d."""
    authority = Authority(directory / "pki")
    cert, key = authority.issue("registry", server=True)
    tokens = TokenServer(cert, key)
    thread = threading.Thread(target=tokens.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = free_port()
    token_port = tokens.server_address[1]
    (directory / "config.yml").write_text(
        CONFIG.format(
            directory=directory,
            port=port,
            cert=cert,
            key=key,
            token_port=token_port,
            authority=authority.path,
        )
    )
    for one in (port, token_port):
        place = directory / "certs.d" / f"127.0.0.1:{one}"
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(authority.path.read_bytes())
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve", str(directory / "config.yml")], stdout=log, stderr=log
        )
    try:
        until_listening(port, process)
        yield f"127.0.0.1:{port}", directory / "certs.d"
    finally:
        process.terminate()
        process.wait()
        tokens.shutdown()
        thread.join()
        tokens.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("docker-registry does not listen")
