"""Rules of kinds outside the core group: what is told of an object, in which order and words."""

import copy
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.fairness.bootstrap_objects import flow_schemas, priority_levels
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.resource import Resource

_GROUPS = {
    "admission": "admissionregistration.k8s.io",
    "apiservices": "apiregistration.k8s.io",
    "flow": "flowcontrol.apiserver.k8s.io",
    "networking": "networking.k8s.io",
    "node": "node.k8s.io",
    "scheduling": "scheduling.k8s.io",
    "storage": "storage.k8s.io",
}
POD: Obj = {"restartPolicy": "Always", "containers": [{"name": "c", "image": "b"}]}


def resource(name: str, version: str = "v1") -> Resource:
    group, _, plural = name.rpartition("/")
    return RESOURCES[_GROUPS.get(group, group), version, plural]


def meta(**more: Any) -> Obj:
    return {"metadata": {"name": "a", "namespace": "n"}, **more}


def told(kind: Resource, given: Obj) -> list[str]:
    obj = copy.deepcopy(given)
    kind.default(obj)
    return [str(e) for e in kind.validate(obj) + kind.validate_create(obj)]


def stateful_set(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD | spec.pop("pod", {})}
    selector = {"matchLabels": {"a": "b"}}
    return meta(spec={"updateStrategy": {}, "selector": selector, "template": template} | spec)


def rolling(kind: str, **values: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": dict(POD)}
    spec: Obj = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    return meta(spec=spec | {kind: {"type": "RollingUpdate", "rollingUpdate": values}})


def test_a_stateful_set_names_its_pods_itself() -> None:
    assert (
        told(resource("apps/statefulsets"), stateful_set(pod={"hostname": "A", "subdomain": "B"}))
        == []
    )
    again = resource("apps/statefulsets").validate_whole
    broken = stateful_set(serviceName="B_")
    assert told(resource("apps/statefulsets"), broken)
    resource("apps/statefulsets").default(broken)
    assert again(broken) == []  # It cannot change.


@pytest.mark.parametrize(
    ("kind", "obj", "paths"),
    [
        ("apps/deployments", rolling("strategy", maxUnavailable="x", maxSurge=0), [
            "maxUnavailable", "maxUnavailable",
        ]),
        ("apps/deployments", rolling("strategy", maxUnavailable="x", maxSurge="5"), [
            "maxUnavailable", "maxSurge",
        ]),
        ("apps/daemonsets", rolling("updateStrategy", maxUnavailable="x", maxSurge=0), [
            "maxUnavailable", "maxUnavailable",
        ]),
    ],
)  # fmt: skip
def test_what_is_no_number_counts_as_none(kind: str, obj: Obj, paths: list[str]) -> None:
    found = [e.partition(": ")[0].rpartition(".")[2] for e in told(resource(kind), obj)]
    assert found == paths


def autoscaler(**spec: Any) -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return meta(spec={"scaleTargetRef": target, "maxReplicas": 5} | spec)


def target(api_version: str, kind: str = "Foo") -> Obj:
    return {"apiVersion": api_version, "kind": kind, "name": "d"}


CPU: Obj = {"target": {"type": "Utilization", "averageUtilization": 50}}


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({"maxReplicas": -1}, ["-1: must be greater than or equal to 1", "`minReplicas`"]),
        ({"scaleTargetRef": target("v1")}, ["apiVersion must specify API group"]),
        ({"scaleTargetRef": target("v1", "ReplicationController")}, []),
        ({"scaleTargetRef": target("a/b/c")}, ["unexpected GroupVersion string: a/b/c"]),
        ({"metrics": [{"type": "Pods", "resource": CPU | {"name": "cpu"}}]}, [
            "pods: Required value",
        ]),
        ({"metrics": [{"type": "Nope", "resource": CPU}]}, [
            "Unsupported value", "resource.name: Required value", "Unsupported value",
        ]),
        ({"metrics": [{"type": "ContainerResource", "containerResource": CPU | {"name": "x"}}]}, [
            "must be a standard resource type", "must be a standard resource for containers",
            "container: Required value",
        ]),
        ({"behavior": {"scaleUp": {"tolerance": "-1"}}}, ["tolerance: Invalid value: \"-1\""]),
    ],
)  # fmt: skip
def test_autoscalers(spec: Obj, texts: list[str]) -> None:
    found = told(resource("autoscaling/horizontalpodautoscalers", "v2"), autoscaler(**spec))
    assert len(found) == len(texts)
    assert all(text in one for text, one in zip(texts, found, strict=True)), found


def webhook(**more: Any) -> Obj:
    service = {"name": "s", "namespace": "n"}
    base = {"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    return meta(webhooks=[base | {"clientConfig": {"service": service}} | more])


def rule(*resources: str) -> Obj:
    return {
        "operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": list(resources)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        ({"clientConfig": {"service": {"name": "s"}}}, ["service.name: Required"]),
        ({"clientConfig": {"service": {"namespace": "n"}}}, ["service.namespace: Required"]),
        ({"rules": [rule("*", "pods")]}, ["if '*' is present"]),
        ({"rules": [rule("pods", "*")]}, []),
        ({"reinvocationPolicy": "x", "clientConfig": {}}, ["reinvocationPolicy", "exactly one of"]),
    ],
)
def test_webhooks(more: Obj, texts: list[str]) -> None:
    found = told(resource("admission/mutatingwebhookconfigurations"), webhook(**more))
    assert len(found) == len(texts)
    assert all(text in one for text, one in zip(texts, found, strict=True)), found


BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


@pytest.mark.parametrize(
    ("kind", "obj", "texts"),
    [
        (
            "networking/ingresses",
            meta(spec={"defaultBackend": {"resource": {"apiGroup": ""}}}),
            [
                'apiGroup: Invalid value: ""',
                "kind: Required value",
                "name: Required value",
            ],
        ),
        (
            "networking/ingressclasses",
            meta(spec={"controller": "a" * 251}),
            [
                "Too long: may not be more than 250 bytes",
                "must be a domain-prefixed path",
            ],
        ),
        ("networking/ingressclasses", meta(spec={"controller": "a.b/c?"}), ["Invalid path"]),
        (
            "networking/servicecidrs",
            meta(spec={"cidrs": ["10.0.0.1/8", "10.0.0.0/8"]}),
            [
                "must not have bits set",
                "may specify no more than one IP for each IP family",
            ],
        ),
        (
            "node/runtimeclasses",
            meta(handler="h", overhead={"podFixed": {"hugepages-2Mi": "3Mi"}}),
            [
                "is not positive integer multiple of",
                "HugePages require cpu or memory",
            ],
        ),
        (
            "node/runtimeclasses",
            meta(handler="h", scheduling={"tolerations": [{"key": "a", "operator": "Exists"}] * 2}),
            ['scheduling.tolerations[1]: Duplicate value: {"Key":"a"'],
        ),
        (
            "scheduling/priorityclasses",
            {"metadata": {"name": "system-node-critical"}},
            [
                "value of system-node-critical PriorityClass must be 2000001000",
            ],
        ),
        (
            "storage/volumeattachments",
            meta(spec={"attacher": "a_", "nodeName": "N", "source": {"persistentVolumeName": "v"}}),
            ["spec.attacher", "spec.nodeName"],
        ),
        (
            "policy/poddisruptionbudgets",
            meta(spec={"minAvailable": 1, "maxUnavailable": 1}),
            [
                '{"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}',
            ],
        ),
        (
            "flow/prioritylevelconfigurations",
            meta(
                spec={
                    "type": "Limited",
                    "limited": {
                        "limitResponse": {
                            "type": "Queue",
                            "queuing": {"queues": 100, "handSize": 10},
                        }
                    },
                }
            ),
            ["required entropy bits of deckSize 100 and handSize 10"],
        ),
        (
            "batch/cronjobs",
            meta(
                spec={
                    "schedule": "TZ=Nowhere/X * * * * *",
                    "timeZone": "a//b",
                    "successfulJobsHistoryLimit": -1,
                    "jobTemplate": {
                        "spec": {
                            "template": {"spec": POD | {"restartPolicy": "Never"}},
                            "backoffLimit": -1,
                        }
                    },
                }
            ),
            [
                "provided bad location Nowhere/X",
                "cannot use TZ",
                "unknown time zone a//b",
                "backoffLimit",
                "successfulJobsHistoryLimit",
            ],
        ),
    ],
)
def test_new_objects(kind: str, obj: Obj, texts: list[str]) -> None:
    found = told(resource(kind), obj)
    assert len(found) == len(texts), found
    assert all(text in one for text, one in zip(texts, found, strict=True)), found


def test_only_a_new_ingress_names_its_class_twice_alike() -> None:
    noted = {"name": "a", "annotations": {"kubernetes.io/ingress.class": "x"}}
    ingress = {"metadata": noted, "spec": {"ingressClassName": "y", "defaultBackend": BACKEND}}
    kind = resource("networking/ingresses")
    assert len(told(kind, ingress)) == 1
    assert kind.validate_whole(ingress) == []


@pytest.mark.parametrize(
    ("before", "now", "paths"),
    [
        (["10.0.0.0/8"], ["10.0.0.0/8"], []),
        (["10.0.0.0/8"], ["11.0.0.0/8"], ["spec.cidrs[0]"]),
        (["10.0.0.0/8"], ["10.0.0.0/8", "fd00::/64"], []),
        (["10.0.0.0/8"], ["10.0.0.0/8", "11.0.0.0/8"], ["spec.cidrs"]),
        (["10.0.0.0/8", "fd00::/64"], ["10.0.0.0/8"], ["spec.cidrs"]),
    ],
)
def test_ranges_of_services_may_get_a_second_family(
    before: list[str], now: list[str], paths: list[str]
) -> None:
    kind = resource("networking/servicecidrs")
    new, old = meta(spec={"cidrs": now}), meta(spec={"cidrs": before})
    assert [e.path for e in kind.validate_whole(new) + kind.validate_update(new, old)] == paths


def test_objects_of_priority_and_fairness_that_stay() -> None:
    for plural, objects in (
        ("flowschemas", flow_schemas()),
        ("prioritylevelconfigurations", priority_levels()),
    ):
        kind = resource(f"flow/{plural}")
        assert [told(kind, obj) for obj in objects] == [[]] * len(objects)
        changed = copy.deepcopy(next(o for o in objects if o["metadata"]["name"] == "catch-all"))
        part = changed["spec"].get("limited") or changed["spec"]
        part["nominalConcurrencyShares" if "limitResponse" in part else "matchingPrecedence"] = 7
        assert "spec of 'catch-all' must equal the fixed value" in told(kind, changed)[0]


TWICE = [{"type": "A"}, {"type": "A"}, {}]


@pytest.mark.parametrize(
    ("kind", "version", "status", "paths"),
    [
        (
            "flow/flowschemas",
            "v1",
            {"conditions": TWICE},
            ["conditions[1].type", "conditions[2].type"],
        ),
        (
            "apiservices/apiservices",
            "v1",
            {"conditions": [{"status": "x"}]},
            ["conditions[0].status"],
        ),
        (
            "autoscaling/horizontalpodautoscalers",
            "v2",
            {"currentReplicas": -1},
            ["currentReplicas"],
        ),
        (
            "policy/poddisruptionbudgets",
            "v1",
            {"conditions": [{"type": "A", "status": "True"}]},
            [
                "conditions[0].lastTransitionTime",
                "conditions[0].reason",
            ],
        ),
        (
            "storage/volumeattachments",
            "v1",
            {"attachError": {"errorCode": -1}},
            ["attachError.errorCode"],
        ),
        (
            "admission/validatingadmissionpolicies",
            "v1",
            {"typeChecking": {"expressionWarnings": [{"fieldRef": "spec"}]}},
            ["typeChecking.expressionWarnings[0].warning"],
        ),
        ("apps/statefulsets", "v1", {"replicas": 2, "availableReplicas": 1}, ["availableReplicas"]),
    ],
)
def test_statuses(kind: str, version: str, status: Obj, paths: list[str]) -> None:
    found = resource(kind, version).validate_status_update(meta(spec={}, status=status), meta())
    assert [e.path.removeprefix("status.") for e in found] == paths
