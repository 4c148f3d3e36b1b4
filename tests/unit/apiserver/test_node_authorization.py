"""What a kubelet may do: its own objects, and what its own pods need."""

from typing import Any

import pytest

from tiphys.apiserver.filters.authorization import Attributes
from tiphys.apiserver.filters.node_authorization import NodeAuthorizer, node_of
from tiphys.apiserver.filters.node_graph import Need, NodeGraph, needs_of
from tiphys.apiserver.filters.rbac_bootstrap import bootstrap_objects
from tiphys.apiserver.user import User
from tiphys.codec import json
from tiphys.storage.backend import Event, KeyValue
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.watch_cache import WatchCache

NODE = "system:node:mine"
VOLUMES = "/registry/persistentvolumes/"


def a_pod(name: str, node: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"nodeName": node, "serviceAccountName": f"account-of-{name}", **spec},
    }


MINE = a_pod(
    "p",
    "mine",
    imagePullSecrets=[{"name": "pull"}],
    containers=[
        {
            "env": [{"valueFrom": {"secretKeyRef": {"name": "env-secret"}}}, {"name": "PLAIN"}],
            "envFrom": [{"configMapRef": {"name": "env-map"}}],
        }
    ],
    volumes=[
        {"name": "s", "secret": {"secretName": "volume-secret"}},
        {"name": "c", "configMap": {"name": "volume-map"}},
        {"name": "k", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {}},
        {"name": "j", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
        {"name": "i", "csi": {"nodePublishSecretRef": {"name": "csi"}}},
    ],
)
OTHERS = a_pod("q", "other", imagePullSecrets=[{"name": "foreign"}])


def volumes() -> WatchCache:
    cache = WatchCache(VOLUMES, encode_head("v1", "PersistentVolume"), lambda obj: ({}, {}))
    items = []
    for name, claim in (("used", "claim"), ("unused", "another")):
        spec = {"claimRef": {"namespace": "ns", "name": claim}}
        volume = {
            "kind": "PersistentVolume",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "spec": spec,
        }
        items.append(KeyValue(f"{VOLUMES}{name}", encode_value(volume), 2))
    cache.load(items, 2)
    return cache


@pytest.fixture(scope="module")
def authorizer() -> NodeAuthorizer:
    graph = NodeGraph()
    graph.load([MINE, OTHERS])
    roles = bootstrap_objects()["clusterroles"]
    rules = next(r["rules"] for r in roles if r["metadata"]["name"] == "system:node")
    return NodeAuthorizer(graph, volumes(), rules)


def ask(verb: str, resource: str, name: str = "", **more: str) -> Attributes:
    resource, _, subresource = resource.partition("/")
    return Attributes(
        verb,
        more.get("group", ""),
        resource,
        subresource,
        more.get("namespace", "ns"),
        name,
        node=more.get("node", ""),
    )


YES = [
    *[
        ask("get", "secrets", n)
        for n in ("pull", "env-secret", "volume-secret", "projected", "csi")
    ],
    *[ask(v, "configmaps", "env-map") for v in ("get", "list", "watch")],
    ask("get", "configmaps", "volume-map"),
    ask("get", "persistentvolumeclaims", "claim"),
    ask("get", "persistentvolumeclaims", "p-e"),
    ask("get", "persistentvolumes", "used", namespace=""),
    ask("create", "serviceaccounts/token", "account-of-p"),
    ask("get", "pods", "p"),
    ask("list", "pods", namespace="", node="mine"),
    ask("update", "pods/status", "q"),
    ask("get", "nodes", "mine", namespace=""),
    ask("watch", "nodes", "mine", namespace=""),
    ask("create", "nodes", namespace=""),
    ask("update", "leases", "mine", namespace="kube-node-lease", group="coordination.k8s.io"),
    ask("list", "services", namespace=""),
    ask("create", "certificatesigningrequests", group="certificates.k8s.io", namespace=""),
]
NO = [
    (ask("get", "secrets", "foreign"), "no relationship found between node 'mine' and this object"),
    (ask("get", "secrets", "pull", namespace="x"), "no relationship found"),
    (ask("list", "secrets"), "No Object name found"),
    (ask("list", "secrets", "pull", namespace=""), "can only read namespaced object"),
    (ask("delete", "secrets", "pull"), "can only read resources of this type"),
    (ask("list", "persistentvolumeclaims"), "can only get individual resources"),
    (ask("get", "persistentvolumes", "unused", namespace=""), "no relationship found"),
    (ask("get", "persistentvolumes", "no-such", namespace=""), "no relationship found"),
    (ask("create", "serviceaccounts/token", "account-of-q"), "no relationship found"),
    (ask("create", "serviceaccounts"), "can only create tokens for individual"),
    (ask("get", "pods", "q"), "no relationship found"),
    (ask("list", "pods", namespace=""), "can only list/watch pods with spec.nodeName"),
    (ask("list", "pods", namespace="", node="other"), "can only list/watch pods"),
    (ask("get", "nodes", "other", namespace=""), "cannot read 'other', only its own Node"),
    (ask("list", "nodes", namespace=""), "cannot read all nodes"),
    (
        ask("get", "leases", "other", namespace="kube-node-lease", group="coordination.k8s.io"),
        "same",
    ),
    (ask("get", "leases", "mine", group="coordination.k8s.io"), "can only access leases in"),
    (
        ask("get", "csinodes", "other", group="storage.k8s.io", namespace=""),
        "CSINode with the same",
    ),
    (ask("list", "deployments", group="apps"), ""),
    (ask("delete", "namespaces", "ns", namespace=""), ""),
]


@pytest.mark.parametrize("asked", YES)
def test_a_kubelet_does_its_work(authorizer: NodeAuthorizer, asked: Attributes) -> None:
    assert authorizer.decide("mine", asked).allowed


@pytest.mark.parametrize(("asked", "why"), NO)
def test_and_nothing_else(authorizer: NodeAuthorizer, asked: Attributes, why: str) -> None:
    decision = authorizer.decide("mine", asked)
    assert not decision.allowed
    assert why in decision.reason


def event(pod: dict[str, Any], revision: int, *, gone: bool = False) -> Event:
    key = f"/registry/pods/ns/{pod['metadata']['name']}"
    return Event(key, None if gone else json.encode(pod), revision)


def test_needs_end_with_the_last_pod_and_grow_with_ephemeral_containers() -> None:
    graph = NodeGraph()
    secret = Need("secrets", "ns", "pull")
    again = a_pod("r", "mine", imagePullSecrets=[{"name": "pull"}])
    unbound = {**again, "spec": {k: v for k, v in again["spec"].items() if k != "nodeName"}}
    graph.follow([event(unbound, 1)])
    assert not graph.needs("mine", secret)
    graph.follow([event(again, 2), event(MINE, 3)])
    graph.follow([event(MINE, 4, gone=True)])
    assert graph.needs("mine", secret)
    late = {"ephemeralContainers": [{"envFrom": [{"secretRef": {"name": "debug"}}]}]}
    graph.follow([event(a_pod("r", "mine", **late), 5)])
    assert graph.needs("mine", Need("secrets", "ns", "debug"))
    assert not graph.needs("mine", secret)
    graph.follow([event(again, 6, gone=True)])
    assert not graph.needs("mine", Need("pods", "ns", "r"))


def test_a_pod_needs_itself_and_its_account() -> None:
    found = set(needs_of(a_pod("p", "n")))
    assert found == {Need("pods", "ns", "p"), Need("serviceaccounts", "ns", "account-of-p")}


@pytest.mark.parametrize(
    ("name", "groups", "node"),
    [
        (NODE, ("system:nodes",), "mine"),
        (NODE, (), ""),
        ("mine", ("system:nodes",), ""),
    ],
)
def test_a_node_is_known_by_group_and_name(name: str, groups: tuple[str, ...], node: str) -> None:
    assert node_of(User(name, groups)) == node
