"""One profile from outside: its kubeconfig, its status, what its processes hold open."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import TIPHYS, Cluster, until
from tiphys.client import kubeconfig
from tiphys.cluster.gateway import REGISTRY_ADDRESS, REGISTRY_PORT
from tiphys.lib.netlink import netns


@pytest.fixture
def own() -> Iterator[Cluster]:
    found = Cluster(f"prof{os.getpid() % 10000}")
    yield found
    found.tiphys("delete", check=False)


def _elsewhere(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command from an environment with another kubeconfig."""
    other = cluster.env | {"KUBECONFIG": str(cluster.home / "other.kubeconfig")}
    return subprocess.run(
        [str(TIPHYS), "-p", cluster.name, *arguments],
        capture_output=True,
        text=True,
        env=other,
        timeout=120,
        check=True,
    )


def test_stop_and_delete_from_elsewhere_find_the_context(own: Cluster) -> None:
    kubeconfig.set_context(own.kubeconfig, "mine", {"server": "https://x"}, {}, make_current=True)
    own.start("--nodes", "0")
    assert kubeconfig.load(own.kubeconfig).context == own.name
    _elsewhere(own, "stop")
    contexts = [c["name"] for c in kubeconfig.read(own.kubeconfig)["contexts"]]
    assert contexts == ["mine"]
    own.start()
    assert kubeconfig.load(own.kubeconfig).context == own.name
    _elsewhere(own, "delete")
    config = kubeconfig.read(own.kubeconfig)
    assert [c["name"] for c in config["contexts"]] == ["mine"]
    assert config["current-context"] == ""
    own.kubeconfig.unlink()


def test_status_asks_the_api(own: Cluster) -> None:
    assert own.tiphys("status", check=False).returncode == 85
    own.start()
    assert own.tiphys("status").returncode == 0
    (api_server,) = own.pids("apiserver")
    os.kill(api_server, signal.SIGSTOP)  # It lives, and answers nobody.
    try:
        hung = own.tiphys("status", check=False)
        assert hung.returncode == 2
        assert "apiserver: Error" in hung.stdout
    finally:
        os.kill(api_server, signal.SIGCONT)
    until(lambda: own.status()["state"] == "Running", what="it answers again")
    own.kubeconfig.unlink()
    assert own.tiphys("status", check=False).returncode == 4
    own.tiphys("stop")
    assert own.tiphys("status", check=False).returncode == 7
    assert own.status()["apiserver"] == "Stopped"


def test_the_registry_answers_its_node_only(own: Cluster) -> None:
    """Whoever has its port on the machine is in nobody's way."""
    with socket.create_server(("", REGISTRY_PORT)) as theirs:
        own.start()
        theirs.settimeout(0.1)
        where = (REGISTRY_ADDRESS, REGISTRY_PORT)
        namespace = Path(f"/run/netns/tiphys-{own.name}-{own.name}")
        with netns.inside(namespace), socket.create_connection(where, timeout=5) as asking:
            asking.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert asking.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(TimeoutError):
            theirs.accept()
    gateway = own.status()["server"].removeprefix("https://").partition(":")[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((gateway, REGISTRY_PORT), timeout=5)


def test_processes_hold_nothing_of_who_started_them(own: Cluster) -> None:
    kept = own.home / "held-by-the-caller"
    with kept.open("w") as file:
        subprocess.run(
            [str(TIPHYS), "-p", own.name, "start", "--wait"],
            env=own.env,
            pass_fds=[file.fileno()],
            timeout=120,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    assert own.pids("scheduler")
    holding = [p for p in own.pids() for f in _open_files(p) if str(f) == str(kept)]
    assert holding == []


def _open_files(pid: int) -> list[Path]:
    return [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
