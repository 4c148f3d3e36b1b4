"""What a request line is about. Upstream: requestinfo_test.go."""

import pytest

from tiphys.apiserver.request_info import parse_request


@pytest.mark.parametrize(
    ("method", "target", "wanted"),
    [
        ("GET", "/api/v1/pods", ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/p", ("get", "", "a", "pods", "p", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "a", "namespaces", "a", "")),
        ("PUT", "/api/v1/namespaces/a/status", ("update", "", "a", "namespaces", "a", "status")),
        ("GET", "/apis/apps/v1/deployments?watch=1", ("watch", "apps", "", "deployments", "", "")),
        ("DELETE", "/api/v1/namespaces/a/pods", ("deletecollection", "", "a", "pods", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods", ("watch", "", "a", "pods", "", "")),
        ("POST", "/api/v1/namespaces/a/pods/p/exec", ("create", "", "a", "pods", "p", "exec")),
        (
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name%3Dx",
            ("list", "", "", "pods", "x", ""),
        ),
        ("GET", "/api/v1/namespaces/a/pods/a%2Fb", ("get", "", "a", "pods", "a/b", "")),
    ],
)
def test_resources(method: str, target: str, wanted: tuple[str, ...]) -> None:
    path, _, query = target.partition("?")
    info = parse_request(method, path, query)
    got = (info.verb, info.group, info.namespace, info.resource, info.name, info.subresource)
    assert got == wanted


@pytest.mark.parametrize("path", ["/", "/healthz", "/api", "/api/v1", "/apis/apps/v1", "/version"])
def test_plain_paths(path: str) -> None:
    info = parse_request("GET", path)
    assert (info.is_resource, info.verb, info.path) == (False, "get", path)
