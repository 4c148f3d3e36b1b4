"""`tiphys addons disable load-balancer`: <pending>, as the notebook shows, with a real kubectl."""

import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

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


def test_a_cloud_of_libcloud_completes_the_node() -> None:
    """Libcloud's dummy has a machine dummy-1: the node's name is the profile's."""
    found = Cluster("dummy-1")
    (found.home / "key.yaml").write_text("creds: any\n")
    (found.home / "key.yaml").chmod(0o600)
    file = found.home / "cloud.yaml"
    file.write_text("compute: {driver: dummy, credentialsFile: key.yaml}\n")
    try:
        refused = found.tiphys("start", "--cloud-provider", "libcloud", check=False)
        assert "needs --cloud-config FILE" in refused.stderr
        found.start("--cloud-provider", "libcloud", "--cloud-config", str(file))

        def node() -> Any:
            return found.get("node", "dummy-1")

        until(lambda: node()["spec"].get("providerID"), what="providerID")
        keys = [t["key"] for t in node()["spec"].get("taints", [])]
        assert "node.cloudprovider.kubernetes.io/uninitialized" not in keys
        kinds = {a["type"] for a in node()["status"]["addresses"]}
        assert kinds == {"ExternalIP", "Hostname"}, "the cloud's addresses, and they stay"
        assert node()["spec"]["providerID"] == "libcloud://dummy/1"
    finally:
        found.delete()


def test_of_many_masters_one_leads_and_another_follows() -> None:
    found = Cluster(f"lead{os.getpid() % 10000}")
    lease = ("lease", "cloud-controller-manager", "-n", "kube-system")
    try:
        found.start("--control-planes", "3")
        holder = until(lambda: found.get(*lease)["spec"].get("holderIdentity"), what="a leader")
        found.tiphys("node", "stop", holder)

        def another() -> bool:
            now = found.get(*lease)["spec"].get("holderIdentity")
            return bool(now) and now != holder

        until(another, seconds=60, what="another leader")
        found.real(kubectls()[-1], "create", "service", "loadbalancer", "web", "--tcp=80:80")
        until(lambda: external_ip(found, "web") != "<pending>", what="an address by the new leader")
    finally:
        found.delete()
