"""minikube's words with a real cluster: choices of a start, pause, ssh, cp, mount, tunnel."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import TIPHYS, Cluster, is_ready, until

PORT = 18000 + os.getpid() % 1000
COUNT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"
SERVE = "mkdir -p /w && echo hello > /w/index.html && exec httpd -f -p 8080 -h /w"


@pytest.fixture(scope="module")
def chosen() -> Iterator[Cluster]:
    found = Cluster(f"word{os.getpid() % 10000}")
    try:
        found.start(
            "--cpus", "1", "--memory", "1g", "--ports", f"127.0.0.1:{PORT}:30081",
            "--extra-config", "kubelet.max-pods=33", "--addons", "",
        )  # fmt: skip
        yield found
    finally:
        found.delete()


def a_pod(name: str, script: str) -> str:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "labels": {"app": name}}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def a_service(name: str, kind: str, node_port: int = 0) -> str:
    port = {"port": 8080, "targetPort": 8080} | ({"nodePort": node_port} if node_port else {})
    spec = {"type": kind, "selector": {"app": "web"}, "ports": [port]}
    return json.dumps(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    )


@pytest.fixture(scope="module")
def web(chosen: Cluster) -> Cluster:
    objects = [a_pod("web", SERVE), a_service("web", "NodePort", 30081)]
    for text in [*objects, a_service("balanced", "LoadBalancer")]:
        chosen.kubectl("create", "-f", "-", stdin=text)
    until(lambda: is_ready(chosen.get("pod", "web")), 60, "the pod serves")
    return chosen


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: str = answer.read().decode()
        return found


def test_a_node_is_as_large_as_was_said(chosen: Cluster) -> None:
    (node,) = chosen.get("nodes")["items"]
    capacity = node["status"]["capacity"]
    assert (capacity["cpu"], capacity["memory"], capacity["pods"]) == ("1", "1Gi", "33")
    groups = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")]
    names = ("memory.max", "memory.limit_in_bytes")
    path = f"tiphys/{chosen.name}/{node['metadata']['name']}"
    found = [f for g, n in zip(groups, names, strict=True) if (f := g / path / n).exists()]
    assert [int(f.read_text()) for f in found] == [1 << 30]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--cpus", "max"], 34, "runs with --cpus 1, not no-limit"),
        (["--overlay", "vxlan"], 34, "runs with overlay auto, not vxlan"),
        (["--extra-config", "kubelet.x=1"], 13, 'kubelet has no option "x"'),
        (["--kubernetes-version", "v1.20.0"], 13, "is not what this tiphys serves"),
        (["--addons", "flying"], 110, 'there is no addon "flying"'),
    ],
)
def test_what_cannot_be_is_refused(chosen: Cluster, words: list[str], code: int, text: str) -> None:
    done = chosen.tiphys("start", *words, check=False)
    assert (done.returncode, text in done.stderr) == (code, True)
    as_json = chosen.tiphys("start", *words, "-o", "json", check=False)
    error = json.loads(as_json.stdout.splitlines()[-1])
    assert (error["exitCode"], text in error["error"], bool(error["fix"])) == (code, True, True)


def test_a_dry_run_changes_nothing(chosen: Cluster) -> None:
    done = chosen.tiphys("-p", f"{chosen.name}x", "start", "--dry-run", "--nodes", "2")
    assert "2 nodes; nothing was changed" in done.stdout
    assert not (chosen.home / "state" / f"{chosen.name}x").exists()


def test_a_published_port_leads_to_the_service(web: Cluster) -> None:
    until(lambda: fetch(f"http://127.0.0.1:{PORT}/") == "hello\n", what="the port answers")


def test_services_are_listed(web: Cluster) -> None:
    listed = json.loads(web.tiphys("service", "list", "-o", "json").stdout)
    urls = {entry["Name"]: entry["URLs"] for entry in listed}
    assert urls["kubernetes"] == []
    assert fetch(urls["web"][0]) == "hello\n"
    assert urls["web"][0] in web.tiphys("service", "--all", "--url").stdout.splitlines()
    assert web.tiphys("service", "none", check=False).returncode == 66
    assert web.tiphys("service", "kubernetes", check=False).returncode == 65


def test_a_tunnel_says_where_services_are(web: Cluster) -> None:
    words = [str(TIPHYS), "-p", web.name, "tunnel"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=web.env)
    try:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(6)]
        service = until(lambda: web.get("svc", "balanced")["status"]["loadBalancer"].get("ingress"))
        assert said[0] == "Status:\n"
        assert f"balanced ({service[0]['ip']})" in said[5]
        assert fetch(f"http://{service[0]['ip']}:8080/") == "hello\n"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def _lines(cluster: Cluster) -> int:
    return len(cluster.kubectl("logs", "counter").splitlines())


def test_what_is_paused_gets_no_time(chosen: Cluster) -> None:
    chosen.kubectl("create", "-f", "-", stdin=a_pod("counter", COUNT))
    until(lambda: is_ready(chosen.get("pod", "counter")), 60, "it counts")
    assert "containers in: default" in chosen.tiphys("pause", "-n", "default").stdout
    before = _lines(chosen)
    assert chosen.status()["state"] == "Running"  # The control plane is in kube-system.
    assert _lines(chosen) == before
    chosen.tiphys("unpause", "-n", "default")
    until(lambda: _lines(chosen) > before, what="it counts on")

    chosen.tiphys("pause", "-A")
    status = chosen.tiphys("status", "-o", "json", check=False)
    assert (status.returncode, json.loads(status.stdout)["apiserver"]) == (2, "Paused")
    chosen.tiphys("unpause", "-A")
    until(lambda: chosen.status()["state"] == "Running", 60, "all runs again")
    assert chosen.get("pod", "counter")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_start_wakes_what_is_paused(chosen: Cluster) -> None:
    chosen.tiphys("pause")
    assert chosen.status()["state"] == "Paused"
    assert "runs already" in chosen.tiphys("start", "--wait").stdout
    assert chosen.status()["state"] == "Running"


def test_files_go_to_a_machine_and_come_back(chosen: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "a.sh"
    file.write_text("echo here\n" * 10_000)
    file.chmod(0o755)
    chosen.tiphys("cp", str(file), "/var/log/copied/")
    assert "-rwxr-xr-x" in chosen.tiphys("ssh", "ls", "-l", "/var/log/copied/a.sh").stdout
    assert not Path("/var/log/copied").exists()  # A machine's /var/log is its own.
    chosen.tiphys("cp", f"{chosen.name}:/var/log/copied/a.sh", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == file.read_bytes()
    done = chosen.tiphys("cp", "/no/such/file", "/x", check=False)
    assert (done.returncode, "No such file" in done.stderr) == (58, True)


@pytest.mark.parametrize("way", ["interrupt", "kill", "killed"])
def test_a_mount_lasts_as_long_as_its_command(chosen: Cluster, tmp_path: Path, way: str) -> None:
    (tmp_path / "file").write_text("there")
    target = f"{tmp_path}-on-node"
    words = [str(TIPHYS), "-p", chosen.name, "mount", f"{tmp_path}:{target}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=chosen.env)
    assert process.stdout is not None
    assert "Mounted" in process.stdout.readline()
    assert chosen.tiphys("ssh", "cat", f"{target}/file").stdout == "there"
    assert list(Path(target).iterdir()) == []  # The mount is the node's alone.
    if way == "kill":
        assert chosen.tiphys("mount", "--kill").stdout == "Ended 1 mounts\n"
    else:
        process.send_signal(signal.SIGINT if way == "interrupt" else signal.SIGKILL)
    process.wait(10)
    until(lambda: not Path(target).exists(), what="nothing is left of it")


def test_commands_run_on_a_machine(chosen: Cluster) -> None:
    assert chosen.tiphys("ssh", "hostname").stdout == f"{chosen.name}\n"
    assert chosen.tiphys("ssh", "-n", chosen.name, "--", "sh", "-c", "exit 7", check=False
                         ).returncode == 7  # fmt: skip
    assert chosen.tiphys("ssh", "no-such-program", check=False).returncode == 127
    assert chosen.tiphys("ssh", "-n", "m09", "ls", check=False).returncode == 50


def test_a_paused_cluster_can_be_stopped(chosen: Cluster) -> None:
    chosen.tiphys("pause", "-A")
    assert "Stopped" in chosen.tiphys("stop").stdout
    chosen.start("--cpus", "max", "--memory", "max")
    capacity = chosen.get("nodes")["items"][0]["status"]["capacity"]
    assert int(capacity["cpu"]) == len(os.sched_getaffinity(0))
    assert capacity["pods"] == "33"  # What was not said stays.
