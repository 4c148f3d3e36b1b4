"""`tiphys addons disable load-balancer`: <pending>, as the notebook shows, with a real kubectl."""

import json
import os
import urllib.request
from collections.abc import Iterator

import pytest

from e2e.clusters import Cluster, kubectls, until

IMAGE = "gcr.io/hello-minikube-zero-install/hello-node"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    found = Cluster(f"cloud{os.getpid() % 10000}")
    try:
        found.start("--no-load-balancer")
        yield found
    finally:
        found.delete()


def external_ip(cluster: Cluster, name: str) -> str:
    text = cluster.real(kubectls()[-1], "get", "service", name, "--no-headers")
    return text.split()[3]


def enabled(cluster: Cluster) -> bool:
    found = json.loads(cluster.tiphys("addons", "list", "-o", "json").stdout)
    return any(a["name"] == "load-balancer" and a["enabled"] for a in found)


def test_services_are_pending_as_long_as_no_provider_is_enabled(own: Cluster) -> None:
    kubectl = kubectls()[-1]
    assert not enabled(own)
    image = f"--image={IMAGE}"
    own.real(kubectl, "create", "deployment", "web", image)
    for name in ("web", "other"):
        own.real(
            kubectl, "expose", "deployment", "web", "--name", name, "--type=LoadBalancer",
            "--port=8080",
        )  # fmt: skip
    assert external_ip(own, "web") == "<pending>"
    # Kept over a restart.
    own.tiphys("stop")
    own.start()
    assert not enabled(own)
    own.real(kubectl, "rollout", "status", "deployment/web", "--timeout=60s")
    assert external_ip(own, "web") == "<pending>"

    own.tiphys("addons", "enable", "load-balancer")
    assert enabled(own)
    until(lambda: external_ip(own, "web") != "<pending>", what="an address")
    until(lambda: external_ip(own, "other") != "<pending>", what="another address")
    address = external_ip(own, "web")
    until(lambda: answers(address), what="an answer")

    # Off again: what was given stays and goes on answering; new ones wait; the old one can go.
    own.tiphys("addons", "disable", "load-balancer")
    assert not enabled(own)
    own.real(
        kubectl, "expose", "deployment", "web", "--name=new", "--type=LoadBalancer", "--port=8080"
    )
    own.real(kubectl, "delete", "service", "other", "--timeout=30s")
    assert external_ip(own, "new") == "<pending>"
    assert external_ip(own, "web") == address
    assert answers(address)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
