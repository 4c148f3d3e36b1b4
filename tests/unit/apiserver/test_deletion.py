"""What a delete does. Upstream: registry/rest/delete.go and the pods' strategy."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.errors import BadRequest, Invalid
from tiphys.apiserver.deletion import DeleteOptions, parse_delete_options, plan_delete
from tiphys.apiserver.verbs.delete import check_options_kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def an_object(kind: str = "ConfigMap", **more: Any) -> dict[str, Any]:
    metadata = {"name": "a", "uid": "1"} | more.pop("metadata", {})
    return {"kind": kind, "metadata": metadata} | more


def a_running_pod(**metadata: Any) -> dict[str, Any]:
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 20}
    return an_object("Pod", spec=spec, metadata=metadata)


@pytest.mark.parametrize(
    ("obj", "options"),
    [
        pytest.param(an_object(), DeleteOptions(), id="plain"),
        pytest.param(an_object("Pod", spec={}), DeleteOptions(), id="unscheduled-pod"),
        pytest.param(a_running_pod(), DeleteOptions(grace_period_seconds=0), id="forced-pod"),
        pytest.param(
            an_object(metadata={"finalizers": ["orphan"]}),
            DeleteOptions(propagation_policy="Background"),
            id="background-takes-the-collector-s-finalizers",
        ),
    ],
)
def test_gone_at_once(obj: dict[str, Any], options: DeleteOptions) -> None:
    assert plan_delete(obj, options, NOW) is None


@pytest.mark.parametrize(
    ("obj", "options", "wanted"),
    [
        pytest.param(
            a_running_pod(),
            DeleteOptions(),
            {"deletionTimestamp": "2026-01-01T00:00:20Z", "deletionGracePeriodSeconds": 20},
            id="pod-with-grace",
        ),
        pytest.param(
            a_running_pod(deletionTimestamp="2026-01-01T00:00:20Z", deletionGracePeriodSeconds=20),
            DeleteOptions(grace_period_seconds=5),
            {"deletionTimestamp": "2026-01-01T00:00:05Z", "deletionGracePeriodSeconds": 5},
            id="grace-shortened",
        ),
        pytest.param(
            a_running_pod(deletionTimestamp="2026-01-01T00:00:20Z", deletionGracePeriodSeconds=20),
            DeleteOptions(grace_period_seconds=60),
            {"deletionTimestamp": "2026-01-01T00:00:20Z", "deletionGracePeriodSeconds": 20},
            id="grace-never-lengthened",
        ),
        pytest.param(
            an_object(),
            DeleteOptions(propagation_policy="Orphan"),
            {
                "finalizers": ["orphan"],
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "deletionGracePeriodSeconds": 0,
            },
            id="orphan",
        ),
        pytest.param(
            an_object(metadata={"generation": 3}),
            DeleteOptions(propagation_policy="Foreground"),
            {
                "finalizers": ["foregroundDeletion"],
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "deletionGracePeriodSeconds": 0,
                "generation": 4,
            },
            id="foreground",
        ),
    ],
)
def test_marked(obj: dict[str, Any], options: DeleteOptions, wanted: dict[str, Any]) -> None:
    new = plan_delete(obj, options, NOW)
    assert new is not None
    assert new["metadata"] == {"name": "a", "uid": "1"} | wanted


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"propagationPolicy": ""}, id="empty-policy"),
        pytest.param({"propagationPolicy": "Never"}, id="unknown-policy"),
        pytest.param({"propagationPolicy": "Orphan", "orphanDependents": True}, id="both"),
        pytest.param({"dryRun": ["Some"]}, id="dry-run"),
    ],
)
def test_refused_options(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_delete_options(given)


def test_a_body_of_another_kind_is_no_options() -> None:
    check_options_kind({})
    with pytest.raises(BadRequest, match='no kind "ConfigMap" is registered'):
        check_options_kind({"kind": "ConfigMap", "apiVersion": "v1"})
