"""Requests are counted by what is served: what clients make up has one meter, however many."""

import pytest

from tiphys.api.resources import RESOURCES
from tiphys.apiserver.metrics import METERS_MAX, OTHER, RequestMetrics
from tiphys.apiserver.request_info import RequestInfo, parse_request

PODS = next(r for r in RESOURCES if (r.group, r.plural) == ("", "pods"))


def counted(metrics: RequestMetrics) -> list[dict[str, str]]:
    return [dict(sample.labels) for sample in metrics.families()[0].samples]


def info_of(path: str) -> RequestInfo:
    return parse_request("GET", path, "")


def test_what_is_served_has_meters_of_its_own() -> None:
    metrics = RequestMetrics()
    for part in ("", "/status", "/log", "/made-up", "/made-up-too"):
        info = info_of(f"/api/v1/namespaces/a/pods/b{part}")
        metrics.meter_of(info, PODS, is_remote=False).observe(200, 0.1)
    metrics.meter_of(info_of("/apis/made/v1/up"), None, is_remote=False).observe(404, 0.1)
    found = counted(metrics)
    assert [(s["resource"], s["subresource"]) for s in found if s["resource"]] == [
        ("pods", ""),
        ("pods", "status"),
        ("pods", "log"),
    ]
    assert {s["verb"] for s in found if not s["resource"]} == {"GET", "LIST"}


def test_of_other_servers_there_are_so_many_and_no_more() -> None:
    metrics = RequestMetrics()
    for number in range(METERS_MAX + 100):
        info = info_of(f"/apis/other.io/v1/r{number}")
        metrics.meter_of(info, None, is_remote=True).observe(200, 0.1)
    assert len(counted(metrics)) == METERS_MAX + 1


@pytest.mark.parametrize("path", ["/made/up", "/api/v1/pods", "/apis/made/v1/up"])
def test_methods_that_clients_make_up_have_one_meter(path: str) -> None:
    metrics = RequestMetrics()
    for method in ("GET", "BREW", "WHEN", "brew"):
        info = parse_request(method, path, "")
        resource = PODS if info.resource == "pods" else None
        metrics.meter_of(info, resource, is_remote=False).observe(405, 0.1)
    verbs = [labels["verb"] for labels in counted(metrics)]
    assert verbs[1:] == [OTHER]
    assert verbs[0] in {"GET", "LIST"}
