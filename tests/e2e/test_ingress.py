"""The addon `ingress` as a user has it: real kubectl, curl to `tiphys ip`, both data planes."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2e.clusters import Cluster, kubectls, until
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.nginx.process import find_nginx

PLANES = ("builtin", *(["nginx"] if find_nginx() else []))  # nginx is no requirement of ours.
POD = (
    "mkdir -p /w/sub; for f in /w/index.html /w/sub/index.html; do echo $0 $(hostname) > $f; done;"
)
SERVE = "exec httpd -f -p 8080 -h /w"


@pytest.fixture(scope="module")
def ingress_cluster() -> Iterator[Cluster]:
    found = Cluster(f"in{os.getpid() % 10000}")
    try:
        found.start()
        for name in ("web", "api"):
            found.kubectl(
                "create", "deployment", name, "--image=busybox", "--replicas=2",
                "--", "sh", "-c", POD + SERVE, name,
            )  # fmt: skip
            quick = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
            found.real(kubectls()[-1], "patch", "deployment", name, "-p", json.dumps(quick))
            found.kubectl("expose", "deployment", name, "--port=80", "--target-port=8080")
        yield found
    finally:
        found.delete()


def address(cluster: Cluster) -> str:
    return cluster.tiphys("ip").stdout.strip()


def curl(cluster: Cluster, url: str, *more: str) -> tuple[int, str]:
    """Status and body; names that end with .test are the node's address."""
    place = address(cluster)
    host = url.split("/")[2]
    port = 443 if url.startswith("https") else 80
    done = subprocess.run(
        ["curl", "-sk", "--noproxy", "*", "--max-time", "5", "-w", "\n%{http_code}",
         "--resolve", f"{host}:{port}:{place}", *more, url.replace("NODE", place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def shown_subject(cluster: Cluster, name: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address(cluster)}:443", "-servername", name],
        capture_output=True, text=True, check=False, input="",
    )  # fmt: skip
    return done.stdout


def events(cluster: Cluster, name: str) -> set[str]:
    found = cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {e["reason"] for e in found if e["involvedObject"]["kind"] == "Ingress"}


@pytest.mark.parametrize("plane", PLANES)
def test_hosts_paths_and_tls(ingress_cluster: Cluster, tmp_path: Path, plane: str) -> None:
    cluster = ingress_cluster
    old, new = kubectls()[0], kubectls()[-1]
    cluster.tiphys("addons", "enable", "ingress", "--set", f"data-plane={plane}")
    assert {"name": "ingress", "enabled": True} in json.loads(
        cluster.tiphys("addons", "list", "-o", "json").stdout
    )
    assert "k8s.io/ingress-nginx" in cluster.real(old, "get", "ingressclass", "nginx")
    cluster.real(old, "create", "ingress", "main", "--rule=web.test/*=web:80",
                 "--rule=web.test/sub*=api:80", "--rule=*.many.test/*=api:80")  # fmt: skip
    assert cluster.get("ingress", "main")["spec"]["ingressClassName"] == "nginx"
    place = address(cluster)
    until(lambda: place in cluster.real(new, "get", "ingress", "main"), what="an address")
    table = cluster.real(new, "get", "ingress", "main").splitlines()
    assert table[0].split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert table[1].split()[:5] == ["main", "nginx", "web.test,*.many.test", place, "80"]
    assert "Scheduled for sync" in cluster.real(old, "describe", "ingress", "main")

    until(lambda: curl(cluster, "http://web.test/")[1].startswith("web"), what="web answers")
    until(lambda: curl(cluster, "http://web.test/sub/")[1].startswith("api"), what="api answers")
    assert curl(cluster, "http://x.many.test/")[1].startswith("api")
    assert curl(cluster, "http://other.test/")[0] == 404
    seen = {curl(cluster, "http://web.test/")[1] for _ in range(12)}
    assert len(seen) == 2

    made = fake_certificate(datetime.now(UTC))
    (tmp_path / "crt").write_bytes(made.chain)
    (tmp_path / "key").write_bytes(made.key)
    cluster.real(new, "create", "secret", "tls", "pair", f"--cert={tmp_path}/crt",
                 f"--key={tmp_path}/key")  # fmt: skip
    cluster.real(new, "create", "ingress", "secure", "--class=nginx",
                 "--rule=ingress.local/*=web:80,tls=pair")  # fmt: skip
    until(lambda: curl(cluster, "http://ingress.local/")[0] == 308, what="to TLS")
    assert curl(cluster, "https://ingress.local/")[1].startswith("web")
    own = made.chain.decode().splitlines()[3]
    assert own in shown_subject(cluster, "ingress.local")
    again = fake_certificate(datetime.now(UTC))
    (tmp_path / "crt").write_bytes(again.chain)
    (tmp_path / "key").write_bytes(again.key)
    text = cluster.real(new, "create", "secret", "tls", "pair", f"--cert={tmp_path}/crt",
                        f"--key={tmp_path}/key", "--dry-run=client", "-o", "yaml")  # fmt: skip
    cluster.real(new, "replace", "-f", "-", stdin=text)
    other = again.chain.decode().splitlines()[3]
    until(lambda: other in shown_subject(cluster, "ingress.local"), what="the new certificate")
    assert "80, 443" in cluster.real(old, "get", "ingress", "secure")

    cluster.real(new, "create", "ingress", "broken", "--rule=b.test/*=nobody:80")
    until(lambda: "ServiceNotFound" in events(cluster, "broken"), what="an event")
    until(lambda: curl(cluster, "http://b.test/")[0] == 503, what="no Service")
    cluster.kubectl("scale", "deployment", "web", "--replicas=0")
    until(lambda: curl(cluster, "http://web.test/")[0] == 503, what="no endpoint")
    cluster.kubectl("scale", "deployment", "web", "--replicas=2")
    until(lambda: curl(cluster, "http://web.test/")[0] == 200, what="endpoints again")

    cluster.tiphys("addons", "disable", "ingress")
    assert cluster.pids("ingress") == []
    assert curl(cluster, "http://web.test/")[0] == 0
    assert cluster.get("ingress", "main")["status"] == {"loadBalancer": {}}
    cluster.kubectl("delete", "ingress", "--all")
    cluster.kubectl("delete", "secret", "pair")
    until(lambda: "ingress-nginx" not in cluster.kubectl("get", "namespaces"), what="gone")


@pytest.mark.parametrize("plane", PLANES)
def test_it_survives_kills_and_stops(ingress_cluster: Cluster, plane: str) -> None:
    cluster = ingress_cluster
    cluster.tiphys("addons", "enable", "ingress", "--set", f"data-plane={plane}")
    cluster.real(kubectls()[-1], "create", "ingress", "main", "--rule=web.test/*=web:80")
    until(lambda: curl(cluster, "http://web.test/")[0] == 200, what="web answers")
    for pid in cluster.pids("ingress"):
        os.kill(pid, 9)
    until(lambda: curl(cluster, "http://web.test/")[0] == 200, what="web answers after a kill")
    cluster.tiphys("stop")
    cluster.start()
    until(lambda: curl(cluster, "http://web.test/")[0] == 200, what="web answers after a stop")
    cluster.kubectl("delete", "ingress", "main")
    cluster.tiphys("addons", "disable", "ingress")


def test_what_cannot_be_enabled_is_said(ingress_cluster: Cluster) -> None:
    cluster = ingress_cluster
    wrong = cluster.tiphys("addons", "enable", "ingress", "--set", "data-plane=x", check=False)
    assert 'there is no data plane "x"' in wrong.stderr
    wrong = cluster.tiphys("addons", "enable", "dashboard", "--set", "a=b", check=False)
    assert "no settings" in wrong.stderr
    wrong = cluster.tiphys("addons", "enable", "ingress", "--set", "y", check=False)
    assert '"y" is no setting' in wrong.stderr
