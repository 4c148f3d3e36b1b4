"""What writers of kinds other than pods are told of though it is accepted."""

from typing import Any

import pytest

from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.rules import warnings

NULL = "spec.template.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector"
IN_NAMES = "metadata.name: this is used in Pod names and hostnames"
NOT_WHOLE = 'fractional byte value "500m" is invalid, must be an integer'
CANONICAL = 'IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'
CIDR = 'IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical format ("2001:db8::/64")'
ARCH = 'deprecated since v1.14; use "kubernetes.io/arch" instead'
STATIC = (
    'metadata.name: names ending with ".static.k8s.io" are reserved for static manifest-based '
    "configurations and cannot be managed via the API"
)
TRACKING = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
    "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)


def a_workload(name: str = "a", generation: int = 1) -> dict[str, Any]:
    template: dict[str, Any] = {"spec": {"topologySpreadConstraints": [{}]}}
    metadata = {"name": name, "generation": generation}
    return {"metadata": metadata, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("new", "old", "wanted"),
    [
        (a_workload(), None, [NULL]),
        (a_workload("a.b"), None, [IN_NAMES, NULL]),
        (a_workload("a.b"), a_workload("a.b"), []),
        (a_workload("a.b", 2), a_workload("a.b"), [NULL]),
    ],
)
def test_a_template_is_told_of_when_it_is_new(
    new: dict[str, Any], old: dict[str, Any] | None, wanted: list[str]
) -> None:
    found = warnings.of_template("spec", "template", is_named_alike=True)(new, old)
    assert [text.startswith(start) for text, start in zip(found, wanted, strict=True)] == [
        True for _ in wanted
    ]


def a_service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"type": "ClusterIP", "sessionAffinity": "None"} | spec}


def a_job(completions: int) -> dict[str, Any]:
    spec = {"completionMode": "Indexed", "completions": completions, "parallelism": 10001}
    return {"metadata": {"name": "a"}, "spec": spec}


def noted(key: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": {key: "x"}}, "spec": spec}


EXTERNAL = "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
HINTS = "service.kubernetes.io/topology-aware-hints"
MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
TERMS = [{"matchExpressions": [{"key": "beta.kubernetes.io/arch", "values": ["a b"]}]}]
# (what is written, what is told of a new one)
NEW: dict[str, list[tuple[dict[str, Any], list[str]]]] = {
    "/v1/services": [
        (a_service(), []),
        (a_service(externalIPs=["192.0.2.1"]), [EXTERNAL]),
        (
            a_service(type="ExternalName", externalIPs=["192.0.2.1"]),
            ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            a_service(
                clusterIP="None",
                clusterIPs=["None"],
                externalIPs=["2001:DB8::1"],
                loadBalancerIP="192.0.2.1",
                sessionAffinity="ClientIP",
            ),
            [
                "spec.loadBalancerIP is ignored for headless services",
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
                f"spec.externalIPs[0]: {CANONICAL}",
            ],
        ),
        (
            a_service(
                externalName="a.b",
                loadBalancerSourceRanges=["2001:DB8::/64", "10.0.0.0/8"],
                trafficDistribution="PreferClose",
            ),
            [
                f"spec.loadBalancerSourceRanges[0]: {CIDR}",
                'spec.externalName is ignored when spec.type is not "ExternalName"',
                'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
            ],
        ),
        (
            noted(HINTS, type="ExternalName"),
            [
                f"annotation {HINTS} is deprecated, please use"
                " service.kubernetes.io/topology-mode instead"
            ],
        ),
    ],
    "/v1/persistentvolumes": [
        (
            noted(BETA_CLASS, nodeAffinity={"required": {"nodeSelectorTerms": TERMS}}, rbd={}),
            [
                f"metadata.annotations[{BETA_CLASS}]: deprecated since v1.8; use"
                ' "storageClassName" attribute instead',
                "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key:"
                f" beta.kubernetes.io/arch is {ARCH}",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            ],
        ),
        (
            {"metadata": {}, "spec": {"persistentVolumeReclaimPolicy": "Recycle"}},
            [
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
                " Instead, the recommended approach is to use dynamic provisioning."
            ],
        ),
    ],
    "/v1/persistentvolumeclaims": [
        (
            {"metadata": {}, "spec": {"resources": {"limits": {"storage": "500m"}}}},
            [f"spec.resources.limits[storage]: {NOT_WHOLE}"],
        )
    ],
    "/v1/nodes": [
        (
            {"metadata": {}, "spec": {"externalID": "a", "podCIDRs": ["2001:DB8::/64"]}},
            [
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
                f"spec.podCIDRs[0]: {CIDR}",
            ],
        )
    ],
    "/v1/endpoints": [
        (
            {"metadata": {}, "subsets": [{"notReadyAddresses": [{"ip": "2001:DB8::1"}]}]},
            [f"subsets[0].notReadyAddresses[0].ip: {CANONICAL}"],
        ),
        (
            {
                "metadata": {
                    "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
                },
                "subsets": [{"addresses": [{"ip": "2001:DB8::1"}]}],
            },
            [],
        ),
    ],
    "/v1/resourcequotas": [
        (
            {"metadata": {}, "spec": {"hard": {"cpu": "2", "limits.cpu": "1"}}},
            ["ResourceQuota cpu (2) should be less than limits.cpu (1)"],
        ),
        (
            {
                "metadata": {},
                "spec": {"hard": {"requests.storage": "2Gi", "limits.storage": "1Gi", "cpu": "9"}},
            },
            ["ResourceQuota requests.storage (2Gi) should be less than limits.storage (1Gi)"],
        ),
    ],
    "/v1/serviceaccounts": [
        (
            noted(MOUNTABLE),
            [
                f"metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate"
                " namespaces to isolate access to mounted secrets"
            ],
        )
    ],
    "apps/v1/statefulsets": [
        (
            {
                "metadata": {},
                "spec": {
                    "revisionHistoryLimit": -1,
                    "volumeClaimTemplates": [
                        {"spec": {"resources": {"requests": {"storage": "500m"}}}}
                    ],
                },
            },
            [
                f"spec.volumeClaimTemplates[0].resources.requests[storage]: {NOT_WHOLE}",
                "spec.revisionHistoryLimit: a negative value retains all historical revisions; a"
                " value >= 0 is recommended",
            ],
        )
    ],
    "batch/v1/jobs": [(a_job(100_001), [f"spec: {TRACKING}"]), (a_job(100_000), [])],
    "batch/v1/cronjobs": [
        (
            {"metadata": {"name": "a"}, "spec": {"jobTemplate": a_job(100_001)}},
            [f"spec.jobTemplate.spec: {TRACKING}"],
        )
    ],
    "discovery.k8s.io/v1/endpointslices": [
        (
            {"metadata": {}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]},
            ["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            {"metadata": {}, "endpoints": [{"addresses": ["2001:DB8::1"]}]},
            [f"endpoints[0].addresses[0]: {CANONICAL}"],
        ),
    ],
    "networking.k8s.io/v1/ingresses": [
        (
            noted("kubernetes.io/ingress.class"),
            [
                'annotation "kubernetes.io/ingress.class" is deprecated, please use'
                " 'spec.ingressClassName' instead"
            ],
        ),
        (noted("kubernetes.io/ingress.class", ingressClassName="a"), []),
    ],
    "networking.k8s.io/v1/networkpolicies": [
        (
            {
                "metadata": {},
                "spec": {"egress": [{"to": [{}, {"ipBlock": {"cidr": "2001:DB8::/64"}}]}]},
            },
            [f"spec.egress[0].to[1].ipBlock.cidr: {CIDR}"],
        )
    ],
    "node.k8s.io/v1/runtimeclasses": [
        (
            {"scheduling": {"nodeSelector": {"beta.kubernetes.io/arch": "a", "b": "c"}}},
            [f"scheduling.nodeSelector: {ARCH}"],
        )
    ],
    "resource.k8s.io/v1/resourceslices": [
        (
            {"spec": {"driver": "A.b"}},
            ['spec.driver: driver names should be lowercase; "A.b" contains uppercase characters'],
        )
    ],
    "storage.k8s.io/v1/storageclasses": [
        (
            {
                "allowedTopologies": [
                    {"matchLabelExpressions": [{"key": "a"}, {"key": "beta.kubernetes.io/arch"}]}
                ]
            },
            [f"allowedTopologies[0].matchLabelExpressions[1].key: {ARCH}"],
        )
    ],
    "storage.k8s.io/v1/csistoragecapacities": [
        (
            {"nodeTopology": {"matchLabels": {"beta.kubernetes.io/arch": "a"}}},
            [f"nodeTopology.matchLabels.beta.kubernetes.io/arch: {ARCH}"],
        )
    ],
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies": [
        ({"metadata": {"name": "a.static.k8s.io"}}, [STATIC]),
        ({"metadata": {"name": "static.k8s.io.a"}}, []),
    ],
}


@pytest.mark.parametrize(
    ("kind", "new", "wanted"), [(kind, *row) for kind, rows in NEW.items() for row in rows]
)
def test_new_objects(kind: str, new: dict[str, Any], wanted: list[str]) -> None:
    group, version, plural = kind.split("/")
    assert RESOURCES[group, version, plural].warnings(new, None) == wanted


def generations(before: str, now: str) -> tuple[dict[str, Any], dict[str, Any]]:
    key = "deprecated.daemonset.template.generation"
    new, old = a_workload(generation=2), a_workload()
    new["metadata"]["annotations"], old["metadata"]["annotations"] = {key: now}, {key: before}
    return new, old


@pytest.mark.parametrize(
    ("kind", "new", "old", "count"),
    [
        ("apps/v1/daemonsets", *generations("1", "1"), 0),
        ("apps/v1/daemonsets", *generations("1", "2"), 1),
        ("/v1/serviceaccounts", noted(MOUNTABLE), noted(MOUNTABLE), 0),
        ("networking.k8s.io/v1/ingresses", noted("kubernetes.io/ingress.class"), noted("a"), 0),
        ("/v1/resourcequotas", {"spec": {"hard": {"cpu": "2", "limits.cpu": "1"}}}, {}, 0),
    ],
)
def test_changed_objects(kind: str, new: dict[str, Any], old: dict[str, Any], count: int) -> None:
    group, version, plural = kind.split("/")
    assert len(RESOURCES[group, version, plural].warnings(new, old)) == count


@pytest.mark.parametrize(
    ("kind", "status", "wanted"),
    [
        ("/v1/pods", {"podIPs": [{"ip": "2001:DB8::1"}]}, f"status.podIPs[0].ip: {CANONICAL}"),
        (
            "/v1/services",
            {"loadBalancer": {"ingress": [{"hostname": "a"}, {"ip": "2001:DB8::1"}]}},
            f"status.loadBalancer.ingress[1]: {CANONICAL}",
        ),
    ],
)
def test_statuses(kind: str, status: dict[str, Any], wanted: str) -> None:
    group, version, plural = kind.split("/")
    assert RESOURCES[group, version, plural].status_warnings({"status": status}) == [wanted]
