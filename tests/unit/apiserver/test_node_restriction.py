"""NodeRestriction: what a kubelet may write, object by object."""

import base64
from typing import Any

import pytest

from tiphys.api.errors import Forbidden
from tiphys.apiserver.admission.chain import Operation, Write
from tiphys.apiserver.admission.node_restriction import MIRROR, NodeRestriction
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User
from tiphys.lib import certificate_request
from tiphys.storage.backend import KeyValue
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.watch_cache import WatchCache

PREFIX = "/registry/pods/"
KEY = certificate_request.new_key()
ME = User("system:node:mine", ("system:nodes",))


def a_pod(name: str, node: str, **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", **metadata},
        "spec": {"nodeName": node, "serviceAccountName": "account"},
    }


def plugin() -> NodeRestriction:
    cache = WatchCache(PREFIX, encode_head("v1", "Pod"), lambda obj: ({}, {}))
    pods = [a_pod("p", "mine"), a_pod("q", "other")]
    cache.load(
        [KeyValue(f"{PREFIX}ns/{p['metadata']['name']}", encode_value(p), 2) for p in pods], 2
    )
    return NodeRestriction(cache)


def a_node(name: str = "mine", taints: Any = None, **labels: str) -> dict[str, Any]:
    named = {k.replace("__", "/").replace("_", "."): v for k, v in labels.items()}
    return {"metadata": {"name": name, "labels": named}, "spec": {"taints": taints or []}}


def a_token(pod: str, uid: str) -> dict[str, Any]:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
    return {"metadata": {}, "spec": {"boundObjectRef": reference}}


def judged(
    operation: Operation,
    resource: str,
    obj: Any = None,
    old: Any = None,
    *,
    name: str = "",
    user: User = ME,
) -> str:
    """The refusal's text, empty for none."""
    group, _, rest = resource.rpartition(":")
    plural, _, subresource = rest.partition("/")
    namespace = {"leases": "kube-node-lease", "nodes": "", "csinodes": ""}.get(plural, "ns")
    info = RequestInfo("", "create", True, group, "v1", namespace, plural, subresource, name)
    write = Write(operation, info, user, "", obj, old, [])
    try:
        plugin().validate(write)
    except Forbidden as refused:
        return refused.message
    return ""


MIRRORED = a_pod("m", "mine", annotations={MIRROR: "x"})
MIRRORED["spec"].pop("serviceAccountName")


@pytest.mark.parametrize(
    ("operation", "resource", "obj", "old", "name", "why"),
    [
        ("CREATE", "pods", MIRRORED, None, "", ""),
        ("CREATE", "pods", a_pod("p", "mine"), None, "", "can only create mirror pods"),
        ("CREATE", "pods", {**MIRRORED, "spec": {"nodeName": "other"}}, None, "", "set to itself"),
        (
            "CREATE",
            "pods",
            {**MIRRORED, "spec": {"nodeName": "mine", "volumes": [{"secret": {}}]}},
            None,
            "",
            "can not create pods that reference secrets",
        ),
        ("DELETE", "pods", None, a_pod("p", "mine"), "p", ""),
        ("DELETE", "pods", None, a_pod("q", "other"), "q", "can only delete pods with"),
        ("UPDATE", "pods", a_pod("p", "mine"), a_pod("p", "mine"), "p", "unexpected operation"),
        ("UPDATE", "pods/status", a_pod("p", "mine"), a_pod("p", "mine"), "p", ""),
        (
            "UPDATE",
            "pods/status",
            a_pod("q", "x"),
            a_pod("q", "x"),
            "q",
            "can only update pod status",
        ),
        (
            "UPDATE",
            "pods/status",
            a_pod("p", "mine", labels={"a": "b"}),
            a_pod("p", "mine"),
            "p",
            "cannot update labels",
        ),
        ("CREATE", "pods/eviction", {}, None, "p", ""),
        ("CREATE", "pods/eviction", {}, None, "q", "can only evict pods"),
        ("CREATE", "pods/exec", {}, None, "p", "unexpected pod subresource"),
        ("CREATE", "nodes", a_node(kubernetes_io__hostname="x", own="y"), None, "", ""),
        ("CREATE", "nodes", a_node("other"), None, "", 'not allowed to modify node "other"'),
        (
            "CREATE",
            "nodes",
            a_node(**{"node-role_kubernetes_io__master": ""}),
            None,
            "",
            "the following labels: node-role.kubernetes.io/master",
        ),
        ("UPDATE", "nodes", a_node(node_kubernetes_io__x="1"), a_node(), "mine", ""),
        (
            "UPDATE",
            "nodes",
            a_node(),
            a_node(**{"node-restriction_kubernetes_io__tier": "a"}),
            "mine",
            "modify labels: node-restriction.kubernetes.io/tier",
        ),
        ("UPDATE", "nodes", a_node(taints=[{"key": "k"}]), a_node(), "mine", "modify taints"),
        (
            "UPDATE",
            "nodes/status",
            a_node(),
            a_node(taints=[{"key": "k"}]),
            "mine",
            "modify taints",
        ),
        ("DELETE", "nodes", None, a_node(), "mine", "not allowed to delete"),
        ("CREATE", "serviceaccounts/token", a_token("p", "uid-p"), None, "account", ""),
        ("CREATE", "serviceaccounts/token", {"spec": {}}, None, "account", "not bound to a pod"),
        ("CREATE", "serviceaccounts/token", a_token("p", ""), None, "account", "without a uid"),
        ("CREATE", "serviceaccounts/token", a_token("p", "old"), None, "account", "does not match"),
        (
            "CREATE",
            "serviceaccounts/token",
            a_token("q", "uid-q"),
            None,
            "account",
            "different node",
        ),
        ("CREATE", "serviceaccounts/token", a_token("p", "uid-p"), None, "x", "different service"),
        ("CREATE", "coordination.k8s.io:leases", a_node(), None, "", ""),
        ("CREATE", "coordination.k8s.io:leases", a_node("other"), None, "", "same name"),
        ("CREATE", "storage.k8s.io:csinodes", a_node("other"), None, "", "same name"),
    ],
)
def test_what_a_kubelet_may_write(
    operation: Operation, resource: str, obj: Any, old: Any, name: str, why: str
) -> None:
    told = judged(operation, resource, obj, old, name=name)
    assert why in told
    assert bool(told) == bool(why)


def test_others_are_not_restricted() -> None:
    admin = User("admin", ("system:masters",))
    assert (
        judged("UPDATE", "nodes", a_node("other", [{"key": "k"}]), a_node("other"), user=admin)
        == ""
    )


def test_a_node_without_a_name_writes_nothing() -> None:
    nobody = User("somebody", ("system:nodes",))
    assert "could not determine node" in judged("CREATE", "pods", MIRRORED, user=nobody)


def a_certificate_request(common_name: str, signer: str) -> dict[str, Any]:
    pem = certificate_request.make(KEY, common_name, ["system:nodes"])
    spec = {"request": base64.b64encode(pem).decode(), "signerName": f"kubernetes.io/{signer}"}
    return {"metadata": {}, "spec": spec}


@pytest.mark.parametrize(
    ("common_name", "signer", "why"),
    [
        ("system:node:mine", "kubelet-serving", ""),
        ("system:node:mine", "kube-apiserver-client-kubelet", ""),
        (
            "system:node:other",
            "kubelet-serving",
            "with CN=system:node:mine",
        ),
        ("system:node:other", "kube-apiserver-client-kubelet", "can only create a node CSR"),
        ("somebody", "kube-apiserver-client", ""),
    ],
)
def test_a_node_asks_for_its_own_certificates(common_name: str, signer: str, why: str) -> None:
    request = a_certificate_request(common_name, signer)
    found = judged("CREATE", "certificates.k8s.io:certificatesigningrequests", request)
    assert why in found if why else not found


def test_a_request_that_cannot_be_read_is_refused() -> None:
    request = a_certificate_request("x", "kubelet-serving")
    request["spec"]["request"] = "eA=="
    found = judged("CREATE", "certificates.k8s.io:certificatesigningrequests", request)
    assert "unable to parse csr: PEM block type must be CERTIFICATE REQUEST" in found
