"""Accept headers to media types, with upstream's refusals."""

import time

import pytest

from tiphys.api.errors import NotAcceptable
from tiphys.apiserver.negotiation import (
    CLAUSES_MAX,
    NO_TABLES,
    OF_CUSTOM,
    PROTOBUF,
    MediaType,
    check_routed,
    error_media,
    is_plain,
    negotiate,
    wants_pretty,
)

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", MediaType()),
        ("*/*", MediaType()),
        ("application/json;q=0.5,application/yaml;q=0.9", MediaType("application/yaml")),
        (f"{TABLE},application/json", MediaType("application/json", "Table", "v1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", MediaType()),
        ("text/html,*/*;q=0.8", MediaType()),
        (f"{PROTOBUF},application/json", MediaType(PROTOBUF)),
        (f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io,application/json", MediaType()),
        (f"{PROTOBUF};{METADATA}", MediaType(PROTOBUF, "PartialObjectMetadata", "v1")),
        ("application/json;sv=v1", MediaType()),
        ("*/*,application/yaml", MediaType("application/yaml")),
        ("application/*,application/yaml", MediaType("application/yaml")),
        ("application/yaml;q=0.1,*/*;q=0.9", MediaType()),
        ("*/*;q=0.9,application/yaml;q=0.1", MediaType("application/yaml")),
        ("application/json;q=no,application/yaml;q=0.1", MediaType("application/yaml")),
        ("application/json;as=;g=;v=", MediaType()),
        ("application/json;as=Table=x", MediaType()),
        ("application/json;pretty=1", MediaType(pretty=True)),
        ("application/json;sv=v2,application/yaml", MediaType("application/yaml")),
    ],
)
def test_accepted(accept: str, wanted: MediaType) -> None:
    assert negotiate(accept, "object") == wanted


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        ("text/html", "406: Not Acceptable\n\nAvailable representations: application/json"),
        ("application/*", "406: Not Acceptable\n\nAvailable representations: application/json"),
        ("application/json;as=Table", "only the following media types are accepted: "),
    ],
)
def test_refused(accept: str, text: str) -> None:
    with pytest.raises(NotAcceptable, match=text.split("\n")[0]):
        negotiate(accept, "object")


@pytest.mark.parametrize(
    ("query", "agent", "pretty"),
    [
        (None, "kubectl/v1", False),
        (None, "curl/8", True),
        ("false", "curl/8", False),
        ("", "curl/8", True),
        ("", "kubectl/v1", False),
        ("True", "kubectl/v1", True),
        ("yes", "kubectl/v1", False),
    ],
)
def test_pretty(query: str | None, agent: str, *, pretty: bool) -> None:
    assert wants_pretty(MediaType(), query, agent) == pretty


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/yaml", "application/yaml"),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", "application/json"),
        ("application/yaml;stream=watch", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_an_errors_form(accept: str, wanted: str) -> None:
    assert error_media(accept) == MediaType(wanted)


def test_kinds_that_are_not_stored_have_no_table() -> None:
    with pytest.raises(NotAcceptable, match="only the following"):
        negotiate(TABLE, "object", views=NO_TABLES)
    assert negotiate(f"{TABLE},application/json", "object", views=NO_TABLES) == MediaType()


def test_what_is_defined_has_only_its_metadata_in_protobuf() -> None:
    with pytest.raises(NotAcceptable, match=f"application/json, application/yaml, {PROTOBUF}$"):
        negotiate(PROTOBUF, "object", produced=OF_CUSTOM)
    found = negotiate(f"{PROTOBUF};{METADATA},application/json", "watch", produced=OF_CUSTOM)
    assert found == MediaType(PROTOBUF, "PartialObjectMetadata", "v1")


def test_a_route_of_one_type() -> None:
    json = ("application/json",)
    check_routed("text/html,*/*;q=0.8", json, json)
    with pytest.raises(NotAcceptable, match=r"representations: application/json$"):
        check_routed("application/yaml", json, json)


def test_clauses_behind_so_many_say_nothing() -> None:
    others = ["text/html"] * (CLAUSES_MAX - 1)
    json, yaml = "application/json;q=0.1", "application/yaml"
    assert negotiate(",".join([*others, json, yaml]), "object") == MediaType()
    assert negotiate(",".join([*others, yaml, json]), "object") == MediaType(yaml)


@pytest.mark.parametrize("clause", ["a/b", "*/*", ",", "application/json;q=0.{}", "a/{}"])
def test_many_clauses_cost_little(clause: str) -> None:
    accept = ",".join(clause.format(number) for number in range(20_000, 0, -1))
    began = time.process_time()
    error_media(accept)
    is_plain(accept, "kubectl")
    assert time.process_time() - began < 1
