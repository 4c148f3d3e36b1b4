"""Which requests the dashboard's proxy passes on, and what its image depends on."""

from pathlib import Path

import pytest

from tiphys.cluster.dashboard import bundle, manifests
from tiphys.cluster.dashboard.request_filter import path_refusal, refusal

HOST = {"host": "127.0.0.1:4000"}
OWN = {**HOST, "origin": "http://127.0.0.1:4000", "sec-fetch-site": "same-origin"}
EXEC = "/api/v1/namespaces/default/pods/a/exec"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/api/v1/pods", HOST),
        ("GET", manifests.ADDRESS, {"host": "localhost:4000"}),
        ("GET", manifests.ADDRESS + "main.js", {"host": "[::1]:4000"}),
        ("DELETE", "/api/v1/namespaces/default/pods/a", OWN),
        ("GET", EXEC, OWN),
        # A link on another site that leads here.
        (
            "GET",
            manifests.ADDRESS,
            HOST | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        ),
        # A namespace and a pod may have such names.
        ("GET", "/api/v1/namespaces/proxy/pods/proxy", HOST),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/proxy", HOST),
    ],
)
def test_passes_on(method: str, path: str, headers: dict[str, str]) -> None:
    assert refusal(method, path, headers) == ""


@pytest.mark.parametrize(
    ("method", "path", "headers", "why"),
    [
        ("GET", "/api/v1/pods", {}, "not this machine"),
        ("GET", "/api/v1/pods", {"host": "evil.example:4000"}, "not this machine"),
        ("GET", "/api/v1/pods", {"host": "127.0.0.1.evil.example"}, "not this machine"),
        ("POST", "/api/v1/pods", HOST | {"origin": "http://evil.example"}, "another site"),
        ("POST", "/api/v1/pods", HOST | {"origin": "null"}, "another site"),
        ("GET", EXEC, HOST | {"origin": "http://localhost:4000"}, "another site"),
        ("GET", "/api/v1/pods", HOST | {"sec-fetch-site": "cross-site"}, "another site"),
        ("GET", "/api/v1/pods", HOST | {"sec-fetch-site": "same-site"}, "another site"),
        ("GET", EXEC, HOST, "page only"),
        ("POST", EXEC.replace("exec", "attach"), HOST, "page only"),
        ("POST", EXEC.replace("exec", "%65xec"), HOST, "page only"),
        ("GET", "/api/v1/namespaces/default/pods/a:80/proxy/", OWN, "other workloads"),
        ("GET", "/api/v1/namespaces/x/services/http:kubernetes-dashboard:/proxy/", OWN, "other"),
        ("GET", "/api/v1/nodes/n/proxy/exec", OWN, "other workloads"),
        ("GET", "/api/v1/namespaces/default/pods/a/%70roxy", OWN, "other workloads"),
        ("GET", manifests.ADDRESS + "../../../default/pods/a/proxy/", OWN, "means another"),
        ("GET", "/api/v1/namespaces/default%2fpods/a/b/c/proxy", OWN, "means another"),
    ],
)
def test_refuses(method: str, path: str, headers: dict[str, str], why: str) -> None:
    assert why in refusal(method, path, headers)


def test_streams_obey_the_same_paths() -> None:
    assert path_refusal("/api/v1/pods") == ""
    assert path_refusal("/api/v1/namespaces/default/services/a/proxy/") != ""


def test_the_tag_follows_the_content(tmp_path: Path) -> None:
    first = bundle.image_name({"index.html": b"a", "x.js": b"b"})
    assert first == bundle.image_name({"x.js": b"b", "index.html": b"a"})
    assert first != bundle.image_name({"index.html": b"a", "x.js": b"c"})
    assert first != bundle.image_name({"index.html": b"ax.js", "": b"b"})
    with pytest.raises(bundle.NotBuilt):
        bundle.pages(tmp_path)
