"""Where an APIService's server is, whether it is available, and what of it discovery shows."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.api.resources import GroupVersionInfo
from tiphys.apiserver.aggregation.aggregation import Unresolved, addresses, user_headers
from tiphys.apiserver.aggregation.availability import Finding, with_condition
from tiphys.apiserver.aggregation.remote import Remote, remote_of
from tiphys.apiserver.aggregation.remote_resources import group_versions, infos_of, resources
from tiphys.apiserver.user import User

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REMOTE = Remote("g.io", "v1", "ns", "s", 443, b"", False, 100, 10, True)
SERVICE = {"spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 443}]}}


def a_slice(*, ready: bool = True, port: str = "https") -> Obj:
    return {
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        "ports": [{"name": port, "port": 4443}],
    }


@pytest.mark.parametrize(
    ("service", "slices", "found"),
    [
        pytest.param(SERVICE, [a_slice()], [("10.0.0.1", 4443)], id="an-endpoint"),
        pytest.param(
            {"spec": {"type": "ExternalName", "externalName": "h"}}, [], [("h", 443)], id="external"
        ),
        pytest.param(
            {"spec": {"ports": [{"port": 80}]}}, [a_slice()], "ServicePortError", id="other-port"
        ),
        pytest.param(SERVICE, [], "EndpointsNotFound", id="no-slices"),
        pytest.param(SERVICE, [a_slice(ready=False)], "MissingEndpoints", id="not-ready"),
        pytest.param(SERVICE, [a_slice(port="http")], "MissingEndpoints", id="other-port-name"),
    ],
)
def test_addresses(service: Obj, slices: list[Obj], found: Any) -> None:
    if isinstance(found, list):
        assert addresses(REMOTE, service, slices) == found
        return
    with pytest.raises(Unresolved) as error:
        addresses(REMOTE, service, slices)
    assert error.value.reason == found


def test_the_condition_keeps_the_time_of_its_last_change() -> None:
    down, up = Finding("False", "MissingEndpoints", "none"), Finding("True", "Passed", "all")
    first = with_condition({"metadata": {}}, down, NOW)
    assert first is not None
    assert with_condition(first, down, NOW) is None
    later = NOW.replace(year=2027)
    other = with_condition(first, replace_reason(down), later)
    assert other is not None
    assert other["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    second = with_condition(first, up, later)
    assert second is not None
    assert second["status"]["conditions"] == [
        {
            "type": "Available",
            "lastTransitionTime": "2027-01-01T00:00:00Z",
            "status": "True",
            "reason": "Passed",
            "message": "all",
        }
    ]


def replace_reason(found: Finding) -> Finding:
    return found._replace(reason="ServiceNotFound")


def test_a_local_one_is_nobody_elses() -> None:
    assert remote_of({"spec": {"group": "apps", "version": "v1"}}) is None


def test_one_that_names_a_service() -> None:
    api_service = {
        "spec": {
            "group": "g.io",
            "version": "v1",
            "caBundle": "UEVN",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": "ns", "name": "s"},
        },
        "status": {"conditions": [{"type": "Available", "status": "True"}]},
    }
    assert remote_of(api_service) == replace(REMOTE, authority=b"PEM")


def test_the_user_as_headers() -> None:
    user = User("jane", ("dev", "ops"), "7", {"acme.com/project": ["a", "b"]})
    assert user_headers(user) == (
        ("X-Remote-User", "jane"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "dev"),
        ("X-Remote-Group", "ops"),
        ("X-Remote-Extra-acme.com%2Fproject", "a"),
        ("X-Remote-Extra-acme.com%2Fproject", "b"),
    )


def test_discovery_shows_available_groups_of_others() -> None:
    own = [GroupVersionInfo("apps", "v1", "apps.v1", 1, 1)]
    down = replace(REMOTE, group="down.io", is_available=False)
    taken_over = replace(REMOTE, group="apps")
    found = group_versions(own, [REMOTE, down, taken_over])
    assert [(v.group, v.group_priority) for v in found] == [("g.io", 100), ("apps", 100)]


def test_resources_of_another_server() -> None:
    document = {
        "resources": [
            {"name": "foos", "kind": "Foo", "namespaced": True, "verbs": ["get"]},
            {"name": "foos/status", "kind": "Foo", "namespaced": True, "verbs": ["get", "update"]},
            {"name": 5},
            "nonsense",
        ]
    }
    [foo] = infos_of("g.io", "v1", document)
    assert (foo.plural, foo.verbs, list(foo.subresources)) == ("foos", ("get",), ["status"])
    assert resources([], {("g.io", "v1"): document}) == [foo]
