"""Real etcd processes on loopback ports, with TLS client certificates; for tests."""

import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.gaps import missing
from support.throwaway_pki import Authority
from tiphys.storage.etcd.client import tls_context

STOP_SECONDS_MAX = 10


class EtcdCluster:
    """Members with data of their own. `kill` and `start` by number."""

    def __init__(self, directory: Path, size: int) -> None:
        self._binary = shutil.which("etcd") or missing("etcd (Debian package etcd-server)")
        self.directory = directory
        self.authority = Authority(directory / "pki", "etcd-ca")
        self._peer = self.authority.issue("member", peer=True)
        self.client_cert, self.client_key = self.authority.issue("client")
        ports = _free_ports(2 * size)
        self.endpoints = [f"https://127.0.0.1:{port}" for port in ports[:size]]
        self._peers = [f"https://127.0.0.1:{port}" for port in ports[size:]]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(size):
            self.start(number)

    def tls(self) -> ssl.SSLContext:
        files = (self.authority.path, self.client_cert, self.client_key)
        return tls_context(*map(str, files))

    def start(self, number: int) -> None:
        """Start a member, with the data it has if it has run before."""
        log = (self.directory / f"member-{number}.log").open("ab")
        cert, key = map(str, self._peer)
        authority = str(self.authority.path)
        members = ",".join(f"m{n}={url}" for n, url in enumerate(self._peers))
        flags = {
            "name": f"m{number}",
            "data-dir": str(self.directory / f"member-{number}"),
            "listen-client-urls": self.endpoints[number],
            "advertise-client-urls": self.endpoints[number],
            "listen-peer-urls": self._peers[number],
            "initial-advertise-peer-urls": self._peers[number],
            "initial-cluster": members,
            "cert-file": cert,
            "key-file": key,
            "trusted-ca-file": authority,
            "peer-cert-file": cert,
            "peer-key-file": key,
            "peer-trusted-ca-file": authority,
        }
        arguments = [f"--{name}={value}" for name, value in flags.items()]
        arguments += ["--client-cert-auth", "--peer-client-cert-auth"]
        self._processes[number] = subprocess.Popen(
            [self._binary, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        log.close()

    def signal(self, number: int, what: int) -> None:
        self._processes[number].send_signal(what)

    def kill(self, number: int) -> None:
        """kill -9, and gone when this returns."""
        process = self._processes.pop(number)
        process.kill()
        process.wait(STOP_SECONDS_MAX)

    def close(self) -> None:
        for number in list(self._processes):
            with suppress(ProcessLookupError):
                self.signal(number, signal.SIGCONT)
            self.kill(number)


@contextmanager
def etcd(size: int = 1) -> Iterator[EtcdCluster]:
    """A cluster for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="etcd-") as directory:
        cluster = EtcdCluster(Path(directory), size)
        try:
            yield cluster
        finally:
            cluster.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
