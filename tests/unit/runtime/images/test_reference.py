"""Image names."""

import pytest

from tiphys.runtime.images.reference import parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("busybox", "docker.io/library/busybox:latest", id="short"),
        pytest.param("a/b:1", "docker.io/a/b:1", id="user"),
        pytest.param("index.docker.io/busybox", "docker.io/library/busybox:latest", id="index"),
        pytest.param("localhost/x", "localhost/x:latest", id="localhost"),
        pytest.param("h:5000/a/b__c/d:T.1-2", "h:5000/a/b__c/d:T.1-2", id="port"),
        pytest.param(f"gcr.io/x@{DIGEST}", f"gcr.io/x@{DIGEST}", id="digest"),
        pytest.param(f"gcr.io/x:1@{DIGEST}", f"gcr.io/x:1@{DIGEST}", id="tag-and-digest"),
        pytest.param("[::1]:5000/x", "[::1]:5000/x:latest", id="ipv6"),
    ],
)
def test_parse(text: str, expected: str) -> None:
    assert str(parse(text)) == expected
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UPPER",
        "a:",
        "a//b",
        "../etc",
        "a/../b",
        "x@sha256:12",
        "a:b/c",
        "-a",
        "a b",
        "h.io/",
        ":1",
    ],
)
def test_bad_names_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid reference format"):
        parse(text)
