"""What streams and what formats: real kubectl, old and new, and our own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from e2e.clusters import TIPHYS, Cluster, kubectls, until

CLIENTS = [*kubectls(), TIPHYS]


@contextmanager
def running(cluster: Cluster, client: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*words(cluster, client), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=cluster.env,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def words(cluster: Cluster, client: Path) -> list[str]:
    """How a client is called for a cluster."""
    return [str(client), "-p", cluster.name, "kubectl"] if client == TIPHYS else [str(client)]


def lines_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line.rstrip())
        if text in line:
            return seen
    raise AssertionError(f"{text} did not come: {seen}")


@pytest.fixture(params=CLIENTS, ids=lambda p: p.name)
def client(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def ask(cluster: Cluster, client: Path, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [*words(cluster, client), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=cluster.env,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def a_pod(cluster: Cluster, namespace: str, command: str) -> None:
    cluster.kubectl(
        "-n", namespace, "create", "-f", "-",
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "p"},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {"name": "c", "image": "busybox", "command": ["sh", "-c", command]}
                    ],
                },
            }
        ),
    )  # fmt: skip


def is_running(cluster: Cluster, namespace: str) -> bool:
    return bool(cluster.get("pod", "p", "-n", namespace)["status"]["phase"] == "Running")


def test_changes_are_watched(cluster: Cluster, namespace: str, client: Path) -> None:
    with running(cluster, client, "-n", namespace, "get", "pods", "-w") as process:
        a_pod(cluster, namespace, "sleep 3600")
        seen = lines_until(process, "Running")
    assert any("Pending" in line or "ContainerCreating" in line for line in seen)


def test_logs_are_followed(cluster: Cluster, namespace: str, client: Path) -> None:
    a_pod(cluster, namespace, "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; sleep 3600")
    until(lambda: is_running(cluster, namespace))
    with running(cluster, client, "-n", namespace, "logs", "-f", "p") as process:
        seen = lines_until(process, "line 5")
    assert seen == [f"line {n}" for n in range(1, 6)]


def test_standard_input_and_exit_codes_pass_through_exec(
    cluster: Cluster, namespace: str, client: Path
) -> None:
    a_pod(cluster, namespace, "sleep 3600")
    until(lambda: is_running(cluster, namespace))
    run = ("-n", namespace, "exec", "-i", "p", "--")
    assert ask(cluster, client, *run, "cat", stdin="in and out") == "in and out"
    done = subprocess.run(
        [*words(cluster, client), *run, "sh", "-c", "echo bad >&2; exit 7"],
        capture_output=True,
        text=True,
        env=cluster.env,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7
    assert done.stderr.startswith("bad\n")


def test_fifty_megabytes_go_in_and_out(cluster: Cluster, namespace: str, client: Path) -> None:
    a_pod(cluster, namespace, "sleep 3600")
    until(lambda: is_running(cluster, namespace))
    done = subprocess.run(
        [*words(cluster, client), "-n", namespace, "exec", "-i", "p", "--", "cat"],
        input=bytes(50 << 20),
        capture_output=True,
        env=cluster.env,
        timeout=60,
        check=False,
    )
    assert (done.returncode, len(done.stdout)) == (0, 50 << 20)


def test_formats(cluster: Cluster, namespace: str, client: Path) -> None:
    a_pod(cluster, namespace, "sleep 3600")
    until(lambda: is_running(cluster, namespace))
    get = ("-n", namespace, "get", "pod", "p", "-o")
    assert ask(cluster, client, *get, "name") == "pod/p\n"
    as_json = json.loads(ask(cluster, client, *get, "json"))
    as_yaml = yaml.safe_load(ask(cluster, client, *get, "yaml"))
    assert as_json["metadata"]["uid"] == as_yaml["metadata"]["uid"]
    wide = ask(cluster, client, *get, "wide")
    assert as_json["status"]["podIP"] in wide
    assert "NOMINATED NODE" in wide
