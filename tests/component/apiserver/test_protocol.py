"""What clients rely on beside the verbs: forms, options and headers, one sentence each."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.in_process import Lab
from support.odd_requests import OddRequest
from tiphys.codec import protobuf

MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
PODS = "/api/v1/namespaces/default/pods"
PROTOBUF = "application/vnd.kubernetes.protobuf"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("api"))
    yield made
    made.close()


def ask(
    lab: Lab, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    status, answer = raw(lab, method, path, body, **headers)
    return status, json.loads(answer)


def raw(lab: Lab, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    status, answer, _ = lab.ask(OddRequest(method, path, named, data))
    return status, answer


def test_generated_names_end_with_five_characters(lab: Lab) -> None:
    _, made = ask(lab, "POST", MAPS, {"metadata": {"generateName": "x" * 70}})
    name = made["metadata"]["name"]
    assert len(name) == 63
    assert set(name[58:]) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    body = {"metadata": {"name": "dry"}}
    assert ask(lab, "POST", f"{MAPS}?dryRun=All", body)[0] == 201
    assert ask(lab, "GET", f"{MAPS}/dry")[0] == 404
    assert ask(lab, "POST", MAPS, body)[0] == 201
    assert ask(lab, "DELETE", f"{MAPS}/dry?dryRun=All")[0] == 200
    assert ask(lab, "GET", f"{MAPS}/dry")[0] == 200


@pytest.mark.parametrize(
    ("path", "kind", "wanted"),
    [
        pytest.param(LEASES, "Lease", 201, id="leases-are-made"),
        pytest.param(MAPS, "ConfigMap", 404, id="others-are-not"),
    ],
)
def test_put_makes_some_kinds(lab: Lab, path: str, kind: str, wanted: int) -> None:
    assert ask(lab, "PUT", f"{path}/by-put", {"metadata": {"name": "by-put"}})[0] == wanted


@pytest.mark.parametrize(
    ("validation", "status", "warns"),
    [
        pytest.param("Strict", 400, False, id="strict"),
        pytest.param("Warn", 201, True, id="warn"),
        pytest.param("", 201, True, id="default"),
        pytest.param("Ignore", 201, False, id="ignore"),
    ],
)
def test_unknown_fields(lab: Lab, validation: str, status: int, warns: bool) -> None:
    body = {"metadata": {"generateName": "odd-"}, "odd": 1}
    given, _ = ask(lab, "POST", f"{MAPS}?fieldValidation={validation}", body)
    assert given == status
    assert ("warning" in lab.headers) == warns
    if warns:
        assert lab.headers["warning"] == '299 - "unknown field \\"odd\\""'


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [
        pytest.param("Foreground", ["foregroundDeletion"], id="foreground"),
        pytest.param("Orphan", ["orphan"], id="orphan"),
    ],
)
def test_propagation_is_left_to_the_garbage_collector(
    lab: Lab, policy: str, finalizers: list[str]
) -> None:
    name = policy.lower()
    ask(lab, "POST", MAPS, {"metadata": {"name": name}})
    _, kept = ask(lab, "DELETE", f"{MAPS}/{name}?propagationPolicy={policy}")
    assert kept["metadata"]["finalizers"] == finalizers
    assert kept["metadata"]["deletionTimestamp"]


def test_preconditions_of_a_deletion(lab: Lab) -> None:
    _, made = ask(lab, "POST", MAPS, {"metadata": {"name": "guarded"}})
    options = {"preconditions": {"uid": "other"}}
    assert ask(lab, "DELETE", f"{MAPS}/guarded", options)[0] == 409
    options = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert ask(lab, "DELETE", f"{MAPS}/guarded", options)[0] == 200


def test_a_pod_without_a_node_goes_at_once(lab: Lab) -> None:
    pod = {"metadata": {"name": "brief"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert ask(lab, "POST", PODS, pod)[0] == 201
    assert ask(lab, "DELETE", f"{PODS}/brief")[0] == 200
    assert ask(lab, "GET", f"{PODS}/brief")[0] == 404


def test_a_budget_refuses_an_eviction(lab: Lab) -> None:
    pod = {
        "metadata": {"name": "kept", "labels": {"budget": "x"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    budget = {
        "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"budget": "x"}}},
    }
    policy = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    assert ask(lab, "POST", PODS, pod)[0] == 201
    running = {"status": {"phase": "Running"}}
    merge = "application/merge-patch+json"
    assert ask(lab, "PATCH", f"{PODS}/kept/status", running, content_type=merge)[0] == 200
    assert ask(lab, "POST", policy, budget)[0] == 201
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept"}}
    status, answer = ask(lab, "POST", f"{PODS}/kept/eviction", eviction)
    assert (status, answer["reason"]) == (429, "TooManyRequests")
    assert ask(lab, "DELETE", f"{policy}/b")[0] == 200
    assert ask(lab, "POST", f"{PODS}/kept/eviction", eviction)[0] == 201


def test_protobuf_both_ways(lab: Lab) -> None:
    """client-go's typed clients send nothing else, and take nothing else first."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p"}, "data": {"a": "b"}}
    sent = protobuf.encode_object(body)
    status, answer = raw(lab, "POST", MAPS, sent, content_type=PROTOBUF, accept=PROTOBUF)
    assert status == 201
    assert protobuf.decode_object(answer)["data"] == {"a": "b"}
    status, listed = raw(lab, "GET", MAPS, accept=PROTOBUF)
    assert protobuf.decode_object(listed)["kind"] == "ConfigMapList"


def test_big_answers_are_compressed_for_who_reads_that(lab: Lab) -> None:
    status, _ = ask(lab, "POST", MAPS, {"metadata": {"name": "big"}, "data": {"a": "b" * 200_000}})
    assert status == 201
    lab.ask(OddRequest("GET", f"{MAPS}?pretty=0", {"accept-encoding": "gzip"}))
    assert lab.headers["content-encoding"] == "gzip"
    ask(lab, "GET", f"{MAPS}/p", accept_encoding="gzip")
    assert "content-encoding" not in lab.headers


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        pytest.param("/apis", AGGREGATED, id="aggregated-discovery"),
        pytest.param("/openapi/v3", "application/json", id="openapi-v3"),
        pytest.param("/openapi/v2", "application/json", id="openapi-v2"),
    ],
)
def test_documents_have_tags(lab: Lab, path: str, accept: str) -> None:
    assert raw(lab, "GET", path, accept=accept)[0] == 200
    tag = lab.headers["etag"]
    assert raw(lab, "GET", path, accept=accept, if_none_match=tag) == (304, b"")


def test_a_document_of_v3_by_its_hash(lab: Lab) -> None:
    url = ask(lab, "GET", "/openapi/v3")[1]["paths"]["api/v1"]["serverRelativeURL"]
    assert raw(lab, "GET", url)[0] == 200
    assert lab.headers["cache-control"] == "public, immutable"
    assert raw(lab, "GET", "/openapi/v3/api/v1?hash=OLD")[0] == 301
    assert lab.headers["location"] == url


def test_openapi_v2_in_protobuf_compressed(lab: Lab) -> None:
    asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    status, body = raw(lab, "GET", "/openapi/v2", accept=asked, accept_encoding="gzip")
    assert status == 200
    assert lab.headers["content-type"].endswith("v2.v1.0+protobuf")
    assert len(gzip.decompress(body)) > 100_000


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/livez/ping", "/readyz/ping"])
def test_health(lab: Lab, path: str) -> None:
    assert raw(lab, "GET", path) == (200, b"ok")


def test_health_says_what_it_looked_at(lab: Lab) -> None:
    _, body = raw(lab, "GET", "/readyz?verbose&exclude=ping")
    assert b"[+]ping excluded: ok" in body
    assert body.endswith(b"readyz check passed\n")


def test_metrics_have_upstreams_names(lab: Lab) -> None:
    ask(lab, "GET", MAPS)
    _, body = raw(lab, "GET", "/metrics")
    for name in (b"apiserver_request_total{", b"apiserver_request_duration_seconds_bucket{"):
        assert name in body


def test_bootstrapped_objects_are_there(lab: Lab) -> None:
    """Those that no test of their own looks at."""
    core = "/api/v1/namespaces"
    for path in (
        *(f"{core}/{n}" for n in ("default", "kube-system", "kube-public", "kube-node-lease")),
        f"{core}/default/services/kubernetes",
        f"{core}/kube-system/configmaps/extension-apiserver-authentication",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt",
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/catch-all",
        "/apis/networking.k8s.io/v1/servicecidrs/kubernetes",
    ):
        assert ask(lab, "GET", path)[0] == 200, path


def test_impersonation_needs_its_own_right(lab: Lab) -> None:
    answer = ask(lab, "GET", MAPS, impersonate_user="somebody")[1]
    assert 'User "somebody" cannot list resource "configmaps"' in answer["message"]
    token = "/api/v1/namespaces/default/serviceaccounts/a/token"
    given = ask(lab, "POST", token, {"spec": {}})[1]["status"]["token"]
    asked = OddRequest("GET", MAPS, {"impersonate-user": "kubernetes-admin"})
    status, body, _ = lab.ask(asked, token=given)
    assert status == 403
    assert b"cannot impersonate resource" in body


def test_a_managers_name_is_that_of_the_client(lab: Lab) -> None:
    body = {"metadata": {"name": "managed"}, "data": {"a": "b"}}
    made = ask(lab, "POST", MAPS, body, user_agent="tool/1 (x)")[1]
    assert made["metadata"]["managedFields"][0]["manager"] == "tool"
    body["metadata"] = {"name": "managed-too"}
    made = ask(lab, "POST", f"{MAPS}?fieldManager=named", body)[1]
    assert made["metadata"]["managedFields"][0]["manager"] == "named"


@pytest.mark.parametrize("given", [[], [{}]])
def test_managed_fields_are_begun_anew(lab: Lab, given: list[Any]) -> None:
    name = f"anew-{len(given)}"
    made = ask(lab, "POST", MAPS, {"metadata": {"name": name}, "data": {"a": "b"}})[1]
    change = {"metadata": {"managedFields": given, "labels": {"a": "b"}}}
    merge = {"content_type": "application/merge-patch+json"}
    changed = ask(lab, "PATCH", f"{MAPS}/{name}", change, **merge)[1]
    assert "managedFields" in made["metadata"]
    assert "managedFields" not in changed["metadata"]
    ask(lab, "POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"x": "y"}}})
    held = ask(lab, "PATCH", f"/api/v1/namespaces/{name}/status", change, **merge)[1]
    assert "managedFields" in held["metadata"], "not through a part of the object"


def test_names_of_managers_that_are_written(lab: Lab) -> None:
    entry: dict[str, Any] = {
        "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
    }  # fmt: skip
    entry |= {"fieldsV1": {"f:data": {}}, "manager": "a\tb", "subresource": "s" * 257}
    body = {"metadata": {"name": "named-badly", "managedFields": [entry]}}
    texts = [cause["message"] for cause in ask(lab, "POST", MAPS, body)[1]["details"]["causes"]]
    assert texts[0] == 'Invalid value: "a\\tb": invalid character U+0009 (at position 1)'
    assert texts[1] == "Too long: may not be more than 256 bytes"


def test_a_watch_of_a_single_object_and_one_by_its_name(lab: Lab) -> None:
    for path in (
        "/api/v1/watch/namespaces/default/configmaps/a?timeoutSeconds=1",
        f"{MAPS}?watch=1&fieldSelector=metadata.name%3Da&timeoutSeconds=1",
    ):
        assert raw(lab, "GET", path)[0] == 200


def test_answers_are_not_to_be_cached(lab: Lab) -> None:
    ask(lab, "GET", f"{MAPS}/a")
    assert lab.headers["cache-control"] == "no-cache, private"
