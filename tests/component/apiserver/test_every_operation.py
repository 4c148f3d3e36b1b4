"""Every verb of every kind that is served, and every path and method of /openapi/v3.

A small object of each kind lives its whole life: made, read in every form, listed, watched,
replaced, patched in every way, applied, deleted alone and with others.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.in_process import Lab
from support.minimal_objects import MINIMAL, NAMES
from support.odd_requests import OddRequest
from tiphys.api.resources import RESOURCES, ResourceInfo
from tiphys.apiserver.openapi import v3
from tiphys.apiserver.openapi.paths import operations

NAMESPACE = "small"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PROTOBUF = "application/vnd.kubernetes.protobuf"
LABEL = {"metadata": {"labels": {"patched": "yes"}}}
STORED = [r for r in RESOURCES if "create" in r.verbs and "get" in r.verbs]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("api"))
    ask(made, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    account = {"metadata": {"name": "default"}}
    ask(made, "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    yield made
    made.close()


def ask(
    lab: Lab,
    method: str,
    path: str,
    body: Any = None,
    kind: str = "application/json",
    accept: str = "application/json",
) -> tuple[int, Any]:
    data = b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": kind, "accept": accept}
    status, answer, _ = lab.ask(OddRequest(method, path, headers, data))
    return status, json.loads(answer) if answer.startswith(b"{") else answer


def collection(info: ResourceInfo) -> str:
    scope = f"/namespaces/{NAMESPACE}" if info.namespaced else ""
    return f"{info.gvr.path}{scope}/{info.plural}"


def a_signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "small")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def an_object(info: ResourceInfo) -> dict[str, Any]:
    if info.plural == "certificatesigningrequests":
        spec = {
            "request": a_signing_request(),
            "signerName": "example.com/x",
            "usages": ["client auth"],
        }
        body: dict[str, Any] = {"spec": spec}
    else:
        body = MINIMAL[f"{info.group}/{info.plural}"]
    metadata = {"name": NAMES.get(info.plural, "small" if info.plural != "namespaces" else "other")}
    return {"apiVersion": info.gvk.api_version, "kind": info.kind, "metadata": metadata} | body


@pytest.mark.parametrize("info", STORED, ids=lambda r: f"{r.plural}.{r.version}.{r.group}")
def test_a_whole_life(lab: Lab, info: ResourceInfo) -> None:
    path, body = collection(info), an_object(info)
    one = f"{path}/{body['metadata']['name']}"
    status, made = ask(lab, "POST", path, body)
    assert status == 201, made
    assert made["metadata"]["uid"]
    reads(lab, info, one, path)
    writes(lab, info, one, made)
    deletes(lab, info, one, path, body)


def reads(lab: Lab, info: ResourceInfo, one: str, path: str) -> None:
    assert ask(lab, "GET", one)[1]["kind"] == info.kind
    assert ask(lab, "GET", one, accept=PROTOBUF)[1].startswith(b"k8s\x00")
    assert b"apiVersion: " in ask(lab, "GET", one, accept="application/yaml")[1]
    assert ask(lab, "GET", one, accept=METADATA)[1]["kind"] == "PartialObjectMetadata"
    for where, rows in ((one, 1), (path, 1)):
        table = ask(lab, "GET", where, accept=TABLE)[1]
        assert table["kind"] == "Table"
        assert len(table["rows"]) >= rows
        assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    name = one.rpartition("/")[2]
    listed = ask(lab, "GET", f"{path}?fieldSelector=metadata.name%3D{name}")[1]
    assert [i["metadata"]["name"] for i in listed["items"]] == [name]
    assert listed["kind"] == f"{info.kind}List"
    everywhere = f"{info.gvr.path}/{info.plural}"
    for watched in (f"{path}?watch=1&timeoutSeconds=1", f"{everywhere}?watch=1&timeoutSeconds=1"):
        assert ask(lab, "GET", watched)[0] == 200
    scope = f"/namespaces/{NAMESPACE}" if info.namespaced else ""
    legacy = f"{info.gvr.path}/watch{scope}/{info.plural}"
    for watched in (legacy, f"{legacy}/{name}", f"{info.gvr.path}/watch/{info.plural}"):
        assert ask(lab, "GET", f"{watched}?timeoutSeconds=1")[0] == 200


def writes(lab: Lab, info: ResourceInfo, one: str, made: dict[str, Any]) -> None:
    status: int = 409
    same: dict[str, Any] = {}
    while status == 409:  # Loops of the server write statuses meanwhile.
        made = ask(lab, "GET", one)[1]
        status, same = ask(lab, "PUT", one, made)
    assert status == 200, same
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    for kind in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
        status, patched = ask(lab, "PATCH", one, LABEL, kind)
        assert status == 200, patched
        assert patched["metadata"]["labels"]["patched"] == "yes"
    test = [{"op": "test", "path": "/metadata/labels/patched", "value": "yes"}]
    assert ask(lab, "PATCH", one, test, "application/json-patch+json")[0] == 200
    applied = {k: made[k] for k in ("apiVersion", "kind")} | {
        "metadata": {"name": made["metadata"]["name"], "labels": {"applied": "yes"}}
    }
    where = f"{one}?fieldManager=m"
    status, found = ask(lab, "PATCH", where, applied, "application/apply-patch+yaml")
    assert status == 200, found
    managers = [(e["manager"], e["operation"]) for e in found["metadata"]["managedFields"]]
    assert ("m", "Apply") in managers
    for name in ("status", "approval", "resize", "ephemeralcontainers", "scale"):
        if name in info.subresources:
            subresource(lab, f"{one}/{name}")


def subresource(lab: Lab, where: str) -> None:
    status, found = ask(lab, "GET", where)
    assert status == 200, found
    assert ask(lab, "PUT", where, found)[0] in {200, 409}
    assert ask(lab, "PATCH", where, {}, "application/merge-patch+json")[0] == 200


def deletes(lab: Lab, info: ResourceInfo, one: str, path: str, body: dict[str, Any]) -> None:
    status, found = ask(lab, "DELETE", f"{one}?dryRun=All")
    assert status in {200, 202}, found
    assert ask(lab, "GET", one)[0] == 200
    assert ask(lab, "DELETE", f"{one}?gracePeriodSeconds=0")[0] in {200, 202}
    if "deletecollection" not in info.verbs:
        return
    again = body | {"metadata": {"name": body["metadata"]["name"], "labels": {"among": "others"}}}
    status, found = ask(lab, "GET", one)
    if status == 404:
        assert ask(lab, "POST", path, again)[0] == 201
        gone = ask(lab, "DELETE", f"{path}?labelSelector=among%3Dothers&gracePeriodSeconds=0")
        assert gone[0] == 200, gone


REVIEWS = {
    "tokenreviews": {"spec": {"token": "x"}},
    "selfsubjectreviews": {},
    "subjectaccessreviews": {"spec": {"user": "u", "nonResourceAttributes": {"path": "/"}}},
    "selfsubjectaccessreviews": {"spec": {"nonResourceAttributes": {"path": "/"}}},
    "localsubjectaccessreviews": {
        "metadata": {"namespace": NAMESPACE},
        "spec": {"user": "u", "resourceAttributes": {"namespace": NAMESPACE, "verb": "get"}},
    },
    "selfsubjectrulesreviews": {"spec": {"namespace": NAMESPACE}},
}


@pytest.mark.parametrize("plural", sorted(REVIEWS))
def test_reviews_answer(lab: Lab, plural: str) -> None:
    """They are asked and not stored: a status comes back."""
    info = next(r for r in RESOURCES if r.plural == plural)
    status, answer = ask(lab, "POST", collection(info), REVIEWS[plural])
    assert status == 201, answer
    assert answer["kind"] == info.kind
    assert answer["status"]


DOCUMENTS = sorted(
    path
    for name in v3.document_paths()
    for path in json.loads(v3.document_bytes(name, "v1") or b"")["paths"]
    if not path.rstrip("/").endswith("}") and path.endswith("/")
)


def test_every_document_is_served(lab: Lab) -> None:
    assert len(DOCUMENTS) > 40
    for path in DOCUMENTS:
        status, answer = ask(lab, "GET", path)
        assert status == 200, path
        assert answer


EVERY = [(operation.method.upper(), operation.path) for operation in operations(RESOURCES)]


def test_every_path_and_method_of_openapi_is_served(lab: Lab) -> None:
    """Whatever is wrong with a request for an object that is not there: the operation is known."""
    assert len(EVERY) > 750
    unknown = []
    for method, path in EVERY:
        asked = path.replace("{namespace}", NAMESPACE).replace("{name}", "none")
        asked = asked.replace("{path}", "x")
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        dry = "?dryRun=All" if method == "DELETE" else "?timeoutSeconds=1"
        status, answer = ask(lab, method, asked + dry, {} if method != "GET" else None, kind)
        text = str(answer.get("message")) if isinstance(answer, dict) else str(answer)
        # HEAD and OPTIONS of proxies have no verb of the API behind them.
        if status in {404, 405} and "not found" not in text and method not in {"HEAD", "OPTIONS"}:
            unknown.append((method, path, status, text))
    assert unknown == []
