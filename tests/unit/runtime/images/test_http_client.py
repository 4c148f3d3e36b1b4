"""Headers that the registry client reads."""

import pytest

from tiphys.runtime.images.distribution import Endpoint, endpoints
from tiphys.runtime.images.http_client import challenge_fields


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(
            'Bearer realm="https://a/t",service="r",scope="repository:x:pull,push"',
            ("bearer", {"realm": "https://a/t", "service": "r", "scope": "repository:x:pull,push"}),
            id="bearer",
        ),
        pytest.param("Basic realm=x", ("basic", {"realm": "x"}), id="not-quoted"),
        pytest.param("Basic", ("basic", {}), id="bare"),
        pytest.param('Bearer realm="cut', ("bearer", {}), id="broken"),
    ],
)
def test_challenge(header: str, expected: tuple[str, dict[str, str]]) -> None:
    assert challenge_fields(header) == expected


@pytest.mark.parametrize(
    ("host", "own"),
    [
        pytest.param("docker.io", "https://registry-1.docker.io", id="hub"),
        pytest.param("gcr.io", "https://gcr.io", id="other"),
        pytest.param("localhost:5000", "http://localhost:5000", id="this-machine"),
    ],
)
def test_endpoints_begin_with_mirrors(host: str, own: str) -> None:
    mirrors = {"*": ["http://m/"], "gcr.io": ["http://g"]}
    expected = [Endpoint("http://g", host)] if host == "gcr.io" else []
    assert endpoints(host, mirrors) == [*expected, Endpoint("http://m", host), Endpoint(own)]
