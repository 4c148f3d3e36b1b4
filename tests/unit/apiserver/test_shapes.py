"""What becomes of objects before and after their validation: defaults, statuses, cells, fields."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.user import User

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def resource(path: str) -> Resource:
    group, version, plural = path.split("/")
    return RESOURCES[group, version, plural]


def a_pod(**spec: Any) -> Obj:
    return {"metadata": {"name": "a"}, "spec": {"containers": []} | spec}


INIT = "pod.beta.kubernetes.io/init-containers"
PAGES = "hugepages-2Mi"
SIDECAR = {"restartPolicy": "Always", "resources": {"requests": {"cpu": "1", PAGES: "4Mi"}}}
WITH_PAGES = {"resources": {"limits": {PAGES: "2Mi"}, "requests": {PAGES: "2Mi"}}}
FINE = {"storage": "100u"}


@pytest.mark.parametrize(
    ("path", "obj", "where", "wanted"),
    [
        ("/v1/pods", a_pod(terminationGracePeriodSeconds=-5), "terminationGracePeriodSeconds", 1),
        ("/v1/pods", a_pod(schedulingGroup={"podGroupName": "a"}), "schedulingGroup", None),
        (
            "/v1/pods",
            a_pod(
                containers=[WITH_PAGES],
                initContainers=[SIDECAR],
                resources={"limits": {"cpu": "2", "memory": "1Gi"}},
            ),
            "resources",
            {
                "limits": {"cpu": "2", "memory": "1Gi", PAGES: "2Mi"},
                "requests": {"cpu": "1", "memory": "1Gi", PAGES: "2Mi"},
            },
        ),
        (
            "/v1/persistentvolumes",
            {"spec": {"capacity": dict(FINE)}},
            "capacity",
            {"storage": "1m"},
        ),
        (
            "/v1/persistentvolumeclaims",
            {"spec": {"resources": {"requests": dict(FINE)}}},
            "resources",
            {"requests": {"storage": "1m"}},
        ),
        ("/v1/resourcequotas", {"spec": {"hard": dict(FINE)}}, "hard", {"storage": "1m"}),
        (
            "/v1/limitranges",
            {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": dict(FINE)}]}},
            "limits",
            [{"type": "PersistentVolumeClaim", "max": {"storage": "1m"}}],
        ),
        (
            "/v1/nodes",
            {"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.1.0/24"]}},
            "podCIDRs",
            ["10.0.0.0/24"],
        ),
    ],
)
def test_defaults_of_a_spec(path: str, obj: Obj, where: str, wanted: Any) -> None:
    obj = copy.deepcopy(obj)
    resource(path).default(obj)
    assert obj["spec"].get(where) == wanted


def test_a_template_keeps_a_negative_period_and_no_old_annotation() -> None:
    template = {"metadata": {"annotations": {INIT: "x"}}, "spec": a_pod()["spec"]}
    template["spec"]["terminationGracePeriodSeconds"] = -5
    deployment = {"metadata": {}, "spec": {"template": template}}
    resource("apps/v1/deployments").default(deployment)
    assert template["spec"]["terminationGracePeriodSeconds"] == -5
    assert template["metadata"] == {}


@pytest.mark.parametrize(
    ("given", "wanted"), [("5", "5"), ("0", "1"), ("-1", "1"), ("x", "1"), (None, "1")]
)
def test_the_number_of_a_daemon_sets_template(given: str | None, wanted: str) -> None:
    key = "deprecated.daemonset.template.generation"
    notes = {} if given is None else {key: given}
    daemon_set: Obj = {"metadata": {"annotations": notes}, "spec": {}}
    resource("apps/v1/daemonsets").before_create(daemon_set)
    assert daemon_set["metadata"]["annotations"][key] == wanted


OTHER_KIND = {"kind": "Other", "apiGroup": "o.test", "name": "a"}
ELSEWHERE = {"kind": "PersistentVolumeClaim", "name": "a", "namespace": "b"}


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        ({"dataSource": OTHER_KIND}, {}, {}),
        ({"dataSource": OTHER_KIND}, {"dataSource": OTHER_KIND}, {"dataSource", "dataSourceRef"}),
        ({"dataSourceRef": OTHER_KIND}, {}, {"dataSource", "dataSourceRef"}),
        ({"dataSourceRef": ELSEWHERE}, {}, {}),
        ({"dataSourceRef": ELSEWHERE}, {"dataSourceRef": ELSEWHERE}, {"dataSourceRef"}),
    ],
)
def test_sources_of_a_claim(new: Obj, old: Obj, wanted: set[str]) -> None:
    claim: Obj = {"metadata": {}, "spec": dict(new)}
    resource("/v1/persistentvolumeclaims").before_update(claim, {"metadata": {}, "spec": old})
    assert set(claim["spec"]) == set(wanted)


def test_metadata_that_an_update_of_the_status_leaves() -> None:
    old = {"metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {}}
    new = {"metadata": {"name": "a", "annotations": {"c": "d"}}, "status": {"x": 1}}
    resource("flowcontrol.apiserver.k8s.io/v1/flowschemas").before_status_update(new, old)
    assert new == old | {"status": {"x": 1}}


def test_a_pods_status_keeps_what_its_writer_does_not_know() -> None:
    conditions = [{"type": "Ready", "observedGeneration": 2}]
    old = {"metadata": {}, "spec": {}, "status": {"observedGeneration": 3, "qosClass": "Burstable"}}
    old["status"]["conditions"] = conditions
    status: Obj = {"conditions": [{"type": "Ready"}, {"type": "Other"}], "podIP": "10.0.0.1"}
    new = {"metadata": {}, "status": status | {"podIPs": [{"ip": "10.0.0.2"}]}}
    resource("/v1/pods").before_status_update(new, old)
    assert new["status"] == {
        "observedGeneration": 3,
        "qosClass": "Burstable",
        "conditions": [{"type": "Ready", "observedGeneration": 2}, {"type": "Other"}],
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
    }


def test_fields_of_a_pods_status_whose_gates_are_off() -> None:
    mount = {"name": "v", "mountPath": "/v"}
    mounts = [mount | {"volumeStatus": {"image": {"imageRef": "x"}}}]
    status: Obj = {"containerStatuses": [{"name": "c", "volumeMounts": mounts}]}
    status["nodeAllocatableResourceClaimStatuses"] = [{"resourceClaimName": "r"}]
    new = {"metadata": {}, "status": status}
    resource("/v1/pods").before_status_update(new, {"metadata": {}, "spec": {}})
    assert new["status"] == {"containerStatuses": [{"name": "c", "volumeMounts": [mount]}]}


def allocated(*names: str) -> Obj:
    devices = [{"driver": "d", "pool": "p", "device": name} for name in names]
    return {"allocation": {"devices": {"results": devices}}}


def test_the_status_of_a_device_goes_with_the_device() -> None:
    said = [{"driver": "d", "pool": "p", "device": name} for name in ("a", "b", "c")]
    old = {"metadata": {}, "spec": {}, "status": allocated("a", "b")}
    new = {"metadata": {}, "status": allocated("b") | {"devices": said}}
    resource("resource.k8s.io/v1/resourceclaims").before_status_update(new, old)
    assert [device["device"] for device in new["status"]["devices"]] == ["b", "c"]


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        (["", ""], "*"),
        (["", "a", "b", "c"], "a,b,c"),
        (["a", "b", "c", ""], "a,b,c + 1 more..."),
        (["a", "b", "c", "d"], "a,b,c + 1 more..."),
    ],
)
def test_hosts_of_an_ingress(hosts: list[str], wanted: str) -> None:
    ingress = {"spec": {"rules": [{"host": host} if host else {} for host in hosts]}}
    cells = {c.name: c.cell for c in resource("networking.k8s.io/v1/ingresses").columns}
    assert cells["Hosts"](ingress, NOW) == wanted


@pytest.mark.parametrize(
    ("path", "field", "obj", "wanted"),
    [
        ("/v1/pods", "status.podIPs", {"status": {"podIPs": [{"ip": "10.0.0.1"}]}}, ""),
        ("/v1/events", "reportingComponent", {"source": {"component": "a"}}, ""),
        ("/v1/events", "source", {"reportingComponent": "a"}, "a"),
    ],
)
def test_values_of_fields_for_selectors(path: str, field: str, obj: Obj, wanted: str) -> None:
    assert resource(path).selectable_fields[field](obj) == wanted


def test_devices_of_a_slice() -> None:
    kind = resource("resource.k8s.io/v1/resourceslices")
    device = {
        "name": "a",
        "taints": [{"key": "k", "effect": "NoExecute"}],
        "attributes": {"a": {"ints": [1], "int": 1}},
        "nodeAllocatableResourceMappings": {"cpu": {}},
    }
    new: Obj = {"metadata": {}, "spec": {"devices": [device]}}
    kind.before_update(new, {"metadata": {"generation": 1}, "spec": {}})
    kind.note_request(new, None, User("a", ()), NOW)
    assert new["metadata"]["generation"] == 2
    assert device == {
        "name": "a",
        "taints": [{"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}],
        "attributes": {"a": {"int": 1}},
    }
