"""Bodies that are no object of the kind, and what is said of them."""

import pytest

from tiphys.api.meta import GroupVersionKind
from tiphys.apiserver.bodies import parse_body, why_wrong_kind
from tiphys.apiserver.negotiation import JSON, YAML
from tiphys.codec.typed import DecodeError

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


@pytest.mark.parametrize(
    ("api_version", "kind", "wanted", "text"),
    [
        pytest.param("v1", "Nope", CONFIG_MAP, 'no kind "Nope" is registered', id="unknown"),
        pytest.param(
            "v1", "Secret", CONFIG_MAP, "converting (v1.Secret) to (core.ConfigMap)", id="other"
        ),
        pytest.param(
            "v1", "List", CONFIG_MAP, "converting (v1.List) to (core.ConfigMap)", id="list"
        ),
        pytest.param(
            "extensions/v1beta1",
            "Deployment",
            CONFIG_MAP,
            "converting (v1beta1.Deployment) to",
            id="older-other",
        ),
        pytest.param(
            "apps/v1beta1",
            "Deployment",
            GroupVersionKind("apps", "v1", "Deployment"),
            "the API version in the data (apps/v1beta1) does not match the expected",
            id="older-same",
        ),
    ],
)
def test_wrong_kind(api_version: str, kind: str, wanted: GroupVersionKind, text: str) -> None:
    assert why_wrong_kind(api_version, kind, wanted).startswith(text)


@pytest.mark.parametrize(
    ("body", "media_type", "text"),
    [
        pytest.param(b"{", YAML, "yaml: line 1: did not find", id="bad-yaml"),
        pytest.param(b'"x"', YAML, "couldn't get version/kind; json parse", id="yaml-text"),
        pytest.param(b"1", JSON, "couldn't get version/kind; json parse", id="json-number"),
        pytest.param(b'{"kind":2}', YAML, "couldn't get version/kind; json parse", id="kind"),
    ],
)
def test_unreadable_bodies(body: bytes, media_type: str, text: str) -> None:
    with pytest.raises(DecodeError) as raised:
        parse_body(body, media_type, CONFIG_MAP)
    assert str(raised.value).startswith(text)


def test_null_is_an_empty_object() -> None:
    assert parse_body(b" null\n", JSON, CONFIG_MAP) == ({}, [])
