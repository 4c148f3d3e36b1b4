"""Logs of a whole cluster: pods that are gone, events, audit, what others push, where lines go."""

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from e2e.clusters import Cluster, kubectls, until
from support.throwaway_pki import Authority


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    found = Cluster(f"logs{os.getpid() % 10000}")
    try:
        found.start("--audit-policy", "default")
        yield found
    finally:
        found.delete()


def search(cluster: Cluster, *words: str) -> list[Any]:
    done = cluster.tiphys("logs", "search", *words, "-o", "json", check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def until_found(cluster: Cluster, *words: str, count: int = 1) -> list[Any]:
    def enough() -> list[Any]:
        found = search(cluster, *words)
        return found if len(found) >= count else []

    hits: list[Any] = until(enough, what=f"logs search {' '.join(words)}")
    return hits


def run_pod(cluster: Cluster, name: str, text: str, labels: str = "app=talker") -> None:
    cluster.real(
        kubectls()[-1], "run", name, "--image=busybox", f"--labels={labels}", "--restart=Never",
        "--", "sh", "-c", f"for i in 1 2 3; do echo {text} $i; done",
    )  # fmt: skip


def test_lines_outlive_their_pod(own: Cluster) -> None:
    run_pod(own, "talker", "spoken")
    hits = until_found(own, "spoken", "-l", "app in (talker,x),!tier", count=3)
    assert [hit["text"] for hit in hits] == ["spoken 1", "spoken 2", "spoken 3"]
    assert search(own, "spoken", "-l", "app notin (talker)") == []
    own.real(kubectls()[-1], "delete", "pod", "talker", "--grace-period=0", "--force")
    assert len(search(own, "-E", "^spok.. [12]$", "--since", "1h", "--pod", "talker")) == 2
    assert search(own, "spoken", "--until", "2000-01-01T00:00:00Z") == []


def test_upstreams_layout_is_there_for_other_agents(own: Cluster) -> None:
    run_pod(own, "layout", "laid out")
    until_found(own, "laid out", count=3)
    uid = own.get("pod", "layout")["metadata"]["uid"]
    path = f"/var/log/pods/default_layout_{uid}/layout/0.log"
    both = f"cat {path}; cat /var/log/containers/layout_default_layout-*.log"
    done = own.tiphys("node", "shell", own.name, "--", "sh", "-c", both)
    assert done.stdout.count(" stdout F laid out 1") == 2
    own.real(kubectls()[-1], "delete", "pod", "layout")
    listing = ("node", "shell", own.name, "--", "ls", "/var/log/containers")
    until(lambda: "layout" not in own.tiphys(*listing).stdout, what="no link left behind")


def test_events_and_audit_go_the_same_way(own: Cluster) -> None:
    run_pod(own, "watched", "watched")
    (scheduled,) = until_found(own, "Scheduled", "--source", "events", "--pod", "watched")
    assert "Successfully assigned default/watched" in scheduled["text"]
    kubectl = kubectls()[-1]
    own.real(kubectl, "create", "secret", "generic", "hidden", "--from-literal=a=hunter2")
    hits = until_found(own, '"resource":"secrets"', "--source", "audit", "--since", "1m")
    event = next(e for e in (json.loads(h["text"]) for h in hits) if e["verb"] == "create")
    assert (event["level"], event["objectRef"]["name"]) == ("Metadata", "hidden")
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["userAgent"].startswith("kubectl")
    assert search(own, "aHVudGVyMg", "--source", "all") == []
    own.real(kubectl, "delete", "pod", "watched")
    until_found(own, "-E", '"verb":"delete".*"name":"watched"', "--source", "audit")


class Receiver:
    """Python's own HTTPS server in the part of Loki."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        cert, key = self.authority.issue("loki", server=True)
        self.texts: list[str] = []
        texts = self.texts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                for stream in json.loads(body)["streams"]:
                    texts.extend(text for _, text in stream["values"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not on the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_lines_go_to_loki_as_long_as_it_is_an_output(own: Cluster, tmp_path: Path) -> None:
    loki = Receiver(tmp_path)
    file = tmp_path / "outputs.yaml"
    to = f"{{url: 'https://127.0.0.1:{loki.port}', caFile: {loki.authority.path}}}"
    file.write_text(f"outputs: [{{name: central, loki: {to}, sources: [pods]}}]\n")
    try:
        assert own.tiphys("logs", "outputs", "set", str(file)).stdout == "outputs: central\n"
        cursor = own.home / "state" / own.name / "logstore" / "outputs" / "central.json"
        until(cursor.exists, what="the output's beginning")
        run_pod(own, "sent", "sent away")
        until(lambda: loki.texts.count("sent away 3"), what="the lines at the receiver")
        # Killed and started again by the supervisor: nothing is missing, nothing is twice.
        for pid in own.pids("gateway"):
            os.kill(pid, 9)
        run_pod(own, "again", "sent again")
        until(lambda: loki.texts.count("sent again 3"), what="lines after a kill")
        assert [loki.texts.count(f"sent away {n}") for n in (1, 2, 3)] == [1, 1, 1]
        file.write_text("outputs: [{name: x}]\n")
        refused = own.tiphys("logs", "outputs", "set", str(file), check=False)
        assert refused.returncode != 0
        assert "needs either loki or syslog" in refused.stderr
        own.tiphys("logs", "outputs", "clear")
        assert own.tiphys("logs", "outputs", "show").stdout == "outputs: []\n"
    finally:
        own.tiphys("logs", "outputs", "clear", check=False)
        loki.close()


def test_other_agents_push_lines_with_a_token(own: Cluster, tmp_path: Path) -> None:
    kubectl = kubectls()[-1]
    own.real(kubectl, "create", "serviceaccount", "agent")
    own.real(kubectl, "create", "clusterrolebinding", "agent-pushes",
             "--clusterrole=tiphys:log-writer", "--serviceaccount=default:agent")  # fmt: skip
    token = own.real(kubectl, "create", "token", "agent").strip()
    address = own.get("endpointslice", "tiphys-logs", "-n", "kube-system")
    host = address["endpoints"][0]["addresses"][0]
    port = address["ports"][0]["port"]
    body = {"streams": [{"stream": {"job": "outside"}, "values": [["1", "pushed from outside"]]}]}
    headers = tmp_path / "headers"
    headers.write_text(f"Authorization: Bearer {token}\nContent-Type: application/json\n")
    authority = own.home / "state" / own.name / "pki" / "ca.crt"

    def push(*more: str) -> str:
        words = ["curl", "-sS", "--cacert", str(authority), "-w", "%{http_code}", *more]
        words += ["-d", json.dumps(body), f"https://{host}:{port}/loki/api/v1/push"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout

    assert push("-H", "Content-Type: application/json").endswith("401")
    until(lambda: push("-H", f"@{headers}") == "204", what="a push that is taken")
    (hit,) = until_found(own, "pushed from outside", "--source", "pushed")[:1]
    assert hit["time"] == "1970-01-01T00:00:00.000000001Z"
