from typing import Any

import orjson

from tiphys.api.resources import GROUP_VERSIONS, RESOURCES
from tiphys.apiserver.openapi import v2, v3
from tiphys.codec.wire import fields

_VERSION = "v1.36.2"


def _refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*map(_refs, value.values()))
    return set().union(*map(_refs, value)) if isinstance(value, list) else set()


def test_v2_refers_only_to_what_it_defines() -> None:
    document = v2.document(_VERSION)
    names = {f"#/definitions/{n}" for n in document["definitions"]}
    assert _refs(document) <= names
    assert len(document["paths"]) > 200


def test_v2_tells_clients_that_fields_can_be_validated() -> None:
    path = v2.document(_VERSION)["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    patch = path["patch"]
    wanted = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == wanted
    assert "fieldValidation" in {p["name"] for p in patch["parameters"]}


def test_definitions_carry_kinds_and_merge_keys() -> None:
    found = v2.definitions_of(["apps.v1.Deployment", "core.v1.PodSpec"])
    assert found["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "version": "v1", "kind": "Deployment"}
    ]
    volumes = found["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-merge-key"] == "name"
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"


def test_v2_protobuf_holds_every_path_and_definition() -> None:
    document = v2.document(_VERSION)
    whole = {n: v for n, _, v in fields(v2.protobuf_bytes(_VERSION)) if isinstance(v, bytes)}
    assert whole[1] == b"2.0"
    names = []
    for number, _, named in fields(whole[8]):
        assert number == 2
        assert isinstance(named, bytes)
        names.append(next(v for n, _, v in fields(named) if n == 1))
    assert names == [p.encode() for p in sorted(document["paths"])]
    assert len(list(fields(whole[9]))) == len(document["definitions"])


def test_v3_documents() -> None:
    index = orjson.loads(v3.index_bytes(_VERSION))["paths"]
    assert {v3.path_of(v) for v in GROUP_VERSIONS} < set(index)
    assert {"api", "apis", "apis/apps", "version"} < set(index)
    ids: list[str] = []
    for path in index:
        raw = v3.document_bytes(path, _VERSION)
        assert raw is not None
        document = orjson.loads(raw)
        names = {f"#/components/schemas/{n}" for n in document["components"]["schemas"]}
        assert _refs(document) <= names
        ids += [
            operation["operationId"]
            for item in document["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
    assert len(ids) == len(set(ids)), "an id is one operation's"
    # Source: api/openapi-spec/v3 of upstream 1.36, the GA groups.
    assert {
        "getCoreAPIVersions",
        "getAppsAPIGroup",
        "getRbacAuthorizationV1APIResources",
        "listCoreV1PodForAllNamespaces",
        "deleteCoreV1CollectionNamespacedPod",
        "watchAppsV1NamespacedDeploymentList",
        "watchCoreV1Node",
        "readAppsV1NamespacedDeploymentScale",
        "replaceCoreV1NamespaceFinalize",
        "readCoreV1NamespacedPodLog",
        "createCoreV1NamespacedServiceAccountToken",
        "connectCoreV1PostNamespacedPodExec",
        "connectCoreV1HeadNodeProxyWithPath",
    } <= set(ids)
    assert len(ids) >= 811
    assert v3.document_bytes("apis/nope/v1", _VERSION) is None


def test_every_resource_has_its_paths() -> None:
    paths = v2.document(_VERSION)["paths"]
    for info in RESOURCES:
        if "get" in info.verbs:
            scope = "/namespaces/{namespace}" if info.namespaced else ""
            assert "get" in paths[f"{info.gvr.path}{scope}/{info.plural}/{{name}}"]


def test_what_generators_of_clients_read() -> None:
    """Tags name their classes, codes and types their answers."""
    path = "/apis/apps/v1/namespaces/{namespace}/deployments"
    item = orjson.loads(v3.document_bytes("apis/apps/v1", "v1") or b"")["paths"][path]
    assert [p["name"] for p in item["parameters"]] == ["namespace", "pretty"]
    assert [p["name"] for p in item["post"]["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
    ]
    assert {method: item[method]["tags"] for method in ("get", "post", "delete")} == {
        "get": ["apps_v1"],
        "post": ["apps_v1"],
        "delete": ["apps_v1"],
    }
    assert [*item["post"]["responses"]] == ["200", "201", "202", "401"]
    assert item["post"]["requestBody"]["required"] is True
    assert "required" not in item["delete"]["requestBody"]
    listed = item["get"]["responses"]["200"]["content"]
    assert "application/vnd.kubernetes.protobuf;stream=watch" in listed
    assert "application/json;stream=watch" not in item["post"]["responses"]["200"]["content"]


def test_a_patch_has_a_name() -> None:
    document = orjson.loads(v3.document_bytes("apis/apps/v1", "v1") or b"")
    item = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    content = item["patch"]["requestBody"]["content"]
    name = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
    reference = f"#/components/schemas/{name}"
    assert {body["schema"]["$ref"] for body in content.values()} == {reference}
    assert document["components"]["schemas"][name]["type"] == "object"
