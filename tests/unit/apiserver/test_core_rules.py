"""Rules of the core group's kinds that no recorded answer of upstream touches."""

import base64
from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.object_meta import validate_meta_update, validate_owners
from tiphys.apiserver.resources.core.data_rules import secret
from tiphys.apiserver.resources.core.endpoints_rules import validate_update as endpoints_update
from tiphys.apiserver.resources.core.pod_ephemeral_rules import validate_ephemeral, with_ephemeral
from tiphys.apiserver.resources.core.pod_status_rules import validate_status_update
from tiphys.apiserver.resources.core.service_change_rules import validate_update
from tiphys.apiserver.resources.events.event import EVENT
from tiphys.apiserver.resources.registry import RESOURCES
from tiphys.apiserver.resources.resource import Resource


def core(plural: str) -> Resource:
    return RESOURCES["", "v1", plural]


def texts(errors: list[Any]) -> list[str]:
    return [str(error) for error in errors]


def paths(errors: list[Any]) -> list[str]:
    return [error.path for error in errors]


def volume(**more: Any) -> Obj:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1"},
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    }
    return {"metadata": {"name": "v"}, "spec": spec | more}


ISCSI = {"targetPortal": "p", "iqn": "iqn.2020-01.a.b:c"}
CSI = {"driver": "d", "volumeHandle": "h"}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"hostPath": {"path": "/a"}, "flexVolume": {"driver": "d"}}, []),
        ({"hostPath": {"path": "/a"}, "cephfs": {"monitors": ["m"]}}, ["cephFS"]),
        ({"nfs": {"server": "s", "path": "/"}, "accessModes": ["ReadWriteOncePod", "x"]},
         ["accessModes"]),
        ({"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": ""}},
         ["glusterfs.endpointsNamespace"]),
        ({"iscsi": ISCSI | {"iqn": "x", "secretRef": {}}}, ["iscsi.iqn", "iscsi.secretRef.name"]),
        ({"iscsi": ISCSI | {"targetPortal": "p" * 63, "initiatorName": "iqn.2020-01.a:b"}},
         ["iscsi.targetportal"]),
        ({"cinder": {"volumeID": "v", "secretRef": {}}},
         ["cinder.secretRef.name", "cinder.secretRef.namespace"]),
        ({"azureFile": {"secretName": "s", "shareName": "s", "secretNamespace": ""}},
         ["azureFile.secretNamespace"]),
        ({"csi": CSI | {"nodeExpandSecretRef": {"name": "A"}}},
         ["csi.nodeExpandSecretRef.name", "csi.nodeExpandSecretRef.namespace"]),
    ],
)  # fmt: skip
def test_volumes(more: Obj, found: list[str]) -> None:
    assert paths(core("persistentvolumes").validate(volume(**more))) == [f"spec.{p}" for p in found]


FOO: Obj = {"apiGroup": "a.io", "kind": "Foo", "name": "f"}
BAR = FOO | {"name": "b"}
BOTH = {"dataSource", "dataSourceRef"}


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({"dataSource": FOO}, set()),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "a"}}, BOTH),
        ({"dataSourceRef": FOO}, BOTH),
        ({"dataSource": FOO, "dataSourceRef": BAR}, BOTH),
        ({"dataSourceRef": FOO | {"namespace": "n"}}, set()),
    ],
)
def test_sources_of_claims(spec: Obj, kept: set[str]) -> None:
    claim = {"spec": dict(spec)}
    core("persistentvolumeclaims").before_create(claim)
    assert claim["spec"].keys() == kept
    assert all(claim["spec"][field] == value for field, value in spec.items() if field in kept)


def test_both_sources_of_a_claim_are_looked_at() -> None:
    wrong = {"kind": "Foo", "name": "f"}
    requests = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
    spec = requests | {"dataSource": wrong, "dataSourceRef": wrong}
    found = core("persistentvolumeclaims").validate({"metadata": {}, "spec": spec})
    assert paths(found) == ["spec.dataSource", "spec.dataSourceRef"]


def a_pod(status: Obj, **spec: Any) -> Obj:
    return {"metadata": {"name": "p"}, "spec": spec, "status": status}


def ended(code: int, field: str = "containerStatuses") -> Obj:
    return {field: [{"name": "c", "state": {"terminated": {"exitCode": code}}}]}


def waiting(field: str = "containerStatuses") -> Obj:
    return {field: [{"name": "c", "state": {"waiting": {}}}]}


def with_rule(action: str) -> Obj:
    rule = {"action": action, "exitCodes": {"operator": "In", "values": [3]}}
    return {"name": "c", "restartPolicy": "Never", "restartPolicyRules": [rule]}


IPS = [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]
CLAIMS = {"resourceClaims": [{"name": "r"}]}
DEVICES = {"name": "c", "allocatedResourcesStatus": [
    {"name": "claim:r", "resources": [{"resourceID": "1", "health": "x"}, {"resourceID": "1"}]}
]}  # fmt: skip
ONE = {"containers": [{"name": "c"}]}


@pytest.mark.parametrize(
    ("status", "before", "spec", "found"),
    [
        (waiting(), ended(1), ONE | {"restartPolicy": "Always"}, []),
        (waiting(), ended(1), ONE | {"restartPolicy": "OnFailure"}, []),
        (waiting(), ended(0), ONE | {"restartPolicy": "OnFailure"}, ["containerStatuses[0].state"]),
        (waiting(), ended(3), {"containers": [with_rule("Restart")]}, []),
        (waiting(), ended(4), {"containers": [with_rule("Restart")]},
         ["containerStatuses[0].state"]),
        (waiting(), ended(4), {"containers": [with_rule("RestartAllContainers")]}, []),
        (waiting("initContainerStatuses"), ended(0, "initContainerStatuses"),
         {"restartPolicy": "Never", "initContainers": [{"name": "c", "restartPolicy": "Always"}]},
         []),
        (waiting("ephemeralContainerStatuses"), ended(0, "ephemeralContainerStatuses"),
         {"restartPolicy": "Always"}, ["ephemeralContainerStatuses[0].state"]),
        ({"nominatedNodeName": "A"}, {}, {}, ["nominatedNodeName"]),
        ({"nominatedNodeName": "a"}, {}, {"nodeName": "b"}, ["nominatedNodeName"]),
        ({"observedGeneration": -1, "conditions": [{"type": "Ready", "observedGeneration": -1}]},
         {}, {}, ["conditions[0].observedGeneration", "observedGeneration"]),
        ({"qosClass": "Burstable"}, {"qosClass": "BestEffort"}, {}, ["qosClass"]),
        ({"podIPs": IPS}, {}, {}, ["podIPs"]),
        ({"podIPs": [{"ip": "010.0.0.1"}]}, {"podIPs": [{"ip": "010.0.0.1"}]}, {}, []),
        ({"podIPs": [{"ip": "x"}, {"ip": "::1"}]}, {}, {}, ["podIPs[0]", "podIPs", "podIPs"]),
        ({"hostIP": "10.0.0.9", "hostIPs": IPS[:1]}, {}, {}, ["hostIPs[0].ip"]),
        ({"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "A"}, {"name": "r"}]}, {},
         CLAIMS, ["resourceClaimStatuses[0].resourceClaimName", "resourceClaimStatuses[1].name"]),
        ({"resourceClaimStatuses": [{"name": "x"}]}, {}, {}, ["resourceClaimStatuses[0].name"]),
        ({"extendedResourceClaimStatus": {"requestMappings": [
            {"containerName": "c", "resourceName": "d.io/x", "requestName": "R"}]}}, {}, ONE,
         [f"extendedResourceClaimStatus.{p}"
          for p in ("requestMappings[0].resourceName", "requestName", "resourceClaimName")]),
        ({"containerStatuses": [{"user": {"linux": {"uid": -1, "supplementalGroups": [-1]}}}]}, {},
         {}, [f"containerStatuses[0].user.linux.{p}" for p in ("uid", "supplementalGroups[0]")]),
        ({"containerStatuses": [{"user": {"linux": {}}}]}, {}, {"os": {"name": "windows"}},
         ["containerStatuses[0].user.linux"]),
        ({"containerStatuses": [DEVICES]}, {}, ONE,
         [f"containerStatuses[0].allocatedResourcesStatus[0].{p}"
          for p in ("name", "resources[0].health", "resources[1].health",
                    "resources[1].resourceID")]),
        ({"ephemeralContainerStatuses": [DEVICES]}, {}, {},
         ["ephemeralContainerStatuses[0].allocatedResourcesStatus"]),
    ],
)  # fmt: skip
def test_statuses_of_pods(status: Obj, before: Obj, spec: Obj, found: list[str]) -> None:
    errors = validate_status_update(a_pod(status, **spec), a_pod(before, **spec))
    assert paths(errors) == [f"status.{path}" for path in found]


MIRROR = "kubernetes.io/config.mirror"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/c"


def annotated(**notes: str) -> Obj:
    found = {{"mirror": MIRROR, "armor": APP_ARMOR}[k]: v for k, v in notes.items()}
    pod = a_pod({}, nodeName="n", containers=[{"name": "c", "image": "i"}])
    return pod | {"metadata": {"name": "p", "annotations": found}}


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        (annotated(mirror="a"), annotated(mirror="a"), []),
        (annotated(mirror="b"), annotated(mirror="a"), ["may not remove or update mirror pod"]),
        (annotated(), annotated(armor="unconfined"), ["may not remove or update AppArmor"]),
        (annotated(armor="unconfined"), annotated(), ["may not add AppArmor annotations"]),
    ],
)
def test_what_annotations_of_pods_stay(new: Obj, old: Obj, found: list[str]) -> None:
    for check in (validate_status_update, core("pods").validate_update):
        details = [error.detail for error in check(new, old)]
        assert [d[: len(f)] for d, f in zip(details, found, strict=True)] == found


def test_an_image_that_changes_is_there() -> None:
    old = a_pod({}, containers=[{"name": "c", "image": "i"}, {"name": "d", "image": "i"}])
    new = a_pod({}, containers=[{"name": "c"}, {"name": "d", "image": "i "}])
    found = paths(core("pods").validate_update(new, old))
    assert found == ["spec.containers[0].image", "spec.containers[1].image"]


def debugged(*containers: Obj, **metadata: Any) -> Obj:
    pod = a_pod({}, nodeName="n", **ONE)
    return with_ephemeral(pod | {"spec": {"ephemeralContainers": list(containers)}}, pod) | {
        "metadata": {"name": "p"} | metadata
    }


FIRST, SECOND = {"name": "a", "image": "i"}, {"name": "b", "image": "i"}


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        (debugged(FIRST, SECOND), debugged(FIRST), []),
        (debugged(SECOND), debugged(FIRST), ['existing ephemeral containers "a" may not be re']),
        (debugged(FIRST | {"image": "j"}), debugged(FIRST),
         ['existing ephemeral containers "a" may not be changed\n@@ ']),
        (debugged(FIRST), debugged(annotations={MIRROR: "x"}), ["static pods do not support"]),
    ],
)  # fmt: skip
def test_ephemeral_containers(new: Obj, old: Obj, found: list[str]) -> None:
    details = [error.detail for error in validate_ephemeral(new, old)]
    assert [d[: len(f)] for d, f in zip(details, found, strict=True)] == found


def a_service(kind: str = "ClusterIP", **spec: Any) -> Obj:
    return {"metadata": {"name": "s"}, "spec": {"type": kind} | spec}


def dual(*addresses: str, policy: str = "PreferDualStack", **more: Any) -> Obj:
    families = ["IPv6" if ":" in a else "IPv4" for a in addresses]
    return a_service(clusterIPs=list(addresses), ipFamilies=families, ipFamilyPolicy=policy, **more)


BALANCED = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30001}
NOW_ONE = "must be set to 'SingleStack' when releasing the secondary "


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        (dual("10.0.0.1", "::1"), dual("10.0.0.1"), []),
        (dual("10.0.0.2"), dual("10.0.0.1"),
         ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set']),
        (dual("::1"), dual("10.0.0.1"),
         ['spec.clusterIPs[0]: Invalid value: ["::1"]: may not change once set',
          'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set']),
        (dual("10.0.0.1", policy="SingleStack"), dual("10.0.0.1", "::1"), []),
        (dual("10.0.0.1"), dual("10.0.0.1", "::1"),
         [f'spec.ipFamilyPolicy: Invalid value: "PreferDualStack": {NOW_ONE}clusterIP',
          f'spec.ipFamilyPolicy: Invalid value: "PreferDualStack": {NOW_ONE}ipFamily']),
        (dual(), dual("10.0.0.1", "::1"),
         ["spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset",
          "spec.ipFamilies[0]: Invalid value: []: primary ipFamily can not be unset"]),
        (a_service(clusterIPs=["None"]), dual("10.0.0.1"),
         ['spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set']),
        (a_service("ExternalName"), dual("10.0.0.1"), []),
        (a_service("LoadBalancer", loadBalancerClass="b"),
         a_service("LoadBalancer", loadBalancerClass="a"),
         ['spec.loadBalancerClass: Invalid value: "b": may not change once set']),
        (a_service("LoadBalancer", **BALANCED | {"healthCheckNodePort": 1}),
         a_service("LoadBalancer", **BALANCED),
         ["spec.healthCheckNodePort: Forbidden: field is immutable"]),
    ],
)  # fmt: skip
def test_services_keep_what_they_got(new: Obj, old: Obj, found: list[str]) -> None:
    assert texts(validate_update(new, old)) == found


def test_two_annotations_for_the_topology_say_the_same() -> None:
    keys = ("topology-mode", "topology-aware-hints")
    notes = {f"service.kubernetes.io/{key}": key for key in keys}
    service = a_service("ExternalName", externalName="a", sessionAffinity="None")
    found = core("services").validate(service | {"metadata": {"annotations": notes}})
    assert paths(found) == ["metadata.annotations[service.kubernetes.io/topology-mode]"]


CONFIG: Obj = {"namespace": "n", "name": "c", "kubeletConfigKey": "k"}


def a_node(status: Obj | None = None, **spec: Any) -> Obj:
    return {"metadata": {"name": "n"}, "spec": spec, "status": status or {}}


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (a_node(podCIDRs=["10.0.0.0/24", "fd00::/64"]), []),
        (a_node(podCIDRs=["10.0.0.0/24", "10.0.1.0/24"]), ["spec.podCIDRs"]),
        (a_node({"nodeInfo": {"swap": {"capacity": 0}}}), ["metadata.nodeSwapStatus.capacity"]),
        (a_node({"declaredFeatures": ["A", "A", "Bc/d", "B", "x/"]}),
         [f"status.declaredFeatures[{i}]" for i in (1, 3, 4)]),
    ],
)  # fmt: skip
def test_nodes(node: Obj, found: list[str]) -> None:
    assert paths(core("nodes").validate(node)) == found


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        (a_node(podCIDRs=["a", "b"]), a_node(podCIDRs=["c", "d"]), ["spec.podCIDRs"] * 2),
        (a_node(podCIDRs=["a"]), a_node(podCIDRs=["c", "d"]), ["spec.podCIDRs"]),
        (a_node(configSource={}), a_node(), ["spec.configSource"]),
        (a_node(configSource={"configMap": CONFIG | {"uid": "u", "name": ""}}), a_node(),
         ["spec.configSource.configMap.uid", "spec.configSource.configMap.name"]),
        (a_node({"config": {"active": {"configMap": CONFIG}}}), a_node(),
         [f"status.config.active.configMap.{f}" for f in ("uid", "resourceVersion")]),
    ],
)  # fmt: skip
def test_changed_nodes(new: Obj, old: Obj, found: list[str]) -> None:
    assert paths(core("nodes").validate_update(new, old)) == found


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ({"podCIDR": "a"}, {"podCIDR": "a", "podCIDRs": ["a"]}),
        ({"podCIDRs": ["a", "b"]}, {"podCIDR": "a", "podCIDRs": ["a", "b"]}),
        ({"podCIDR": "c", "podCIDRs": ["a", "b"]}, {"podCIDR": "c", "podCIDRs": ["c"]}),
    ],
)
def test_two_fields_for_the_ranges_of_a_node(spec: Obj, kept: Obj) -> None:
    node = a_node(**spec)
    core("nodes").default(node)
    assert node["spec"] == kept


def test_two_fields_for_the_addresses_of_a_pod() -> None:
    old = a_pod({})
    for status, address in (
        ({"podIP": "10.0.0.9", "podIPs": IPS}, "10.0.0.9"),
        ({"podIPs": IPS[:1]}, "10.0.0.1"),
    ):
        new = a_pod(dict(status))
        core("pods").before_status_update(new, old)
        assert new["status"] == {"podIP": address, "podIPs": [{"ip": address}]}


def a_quota(**spec: Any) -> Obj:
    return {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "cpu": "1"}} | spec}


def chosen(*scopes: str) -> Obj:
    found = [{"scopeName": scope, "operator": "Exists"} for scope in scopes]
    return {"scopeSelector": {"matchExpressions": found}}


@pytest.mark.parametrize(
    ("quota", "found"),
    [
        (a_quota(scopes=["Nope"]), ["spec.scopes"]),
        (a_quota(scopes=["VolumeAttributesClass"]), ["spec.scopes"] * 2),
        (a_quota(**chosen("BestEffort")), ["spec.scopeSelector.matchExpressions"]),
        (a_quota(**chosen("Terminating", "NotTerminating")),
         ["spec.scopeSelector.matchExpressions"]),
    ],
)  # fmt: skip
def test_quotas(quota: Obj, found: list[str]) -> None:
    assert paths(core("resourcequotas").validate(quota)) == found


def test_statuses_of_quotas() -> None:
    status = {"hard": {"pods": "-1"}, "used": {"nope": "1"}}
    found = core("resourcequotas").validate_status_update(a_quota() | {"status": status}, a_quota())
    assert paths(found) == ["status.hard[pods]", "status.used[nope]", "status.used[nope]"]


def test_limits_of_pods_are_those_of_containers() -> None:
    limit = {"type": "Pod", "max": {"storage": "1"}}
    found = core("limitranges").validate({"spec": {"limits": [limit]}})
    assert paths(found) == ["spec.limits[0].max[storage]"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("1", "json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_docker_secrets(text: str, why: str) -> None:
    data = {".dockercfg": base64.b64encode(text.encode()).decode()}
    (error,) = secret({"metadata": {}, "type": "kubernetes.io/dockercfg", "data": data})
    assert error.detail == why


def test_endpoints_that_nobody_changes_stay() -> None:
    wrong = {"subsets": [{"addresses": [{"ip": "ff02::1"}]}]}
    assert endpoints_update(wrong, wrong) == []
    text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    assert [e.detail for e in endpoints_update(wrong, {})] == [text]


def test_a_changed_reason_is_told_twice() -> None:
    old: Obj = {"metadata": {"name": "e"}, "reason": "a", "type": "Normal", "action": "a"}
    found = EVENT.validate_update(old | {"reason": "b", "type": "Warning", "action": "b"}, old)
    assert paths(found) == ["reason", "reason", "type", "action"]


OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u"}
CONTROLLER = OWNER | {"controller": True}


@pytest.mark.parametrize(
    ("owners", "found"),
    [
        ([OWNER, CONTROLLER], []),
        ([CONTROLLER] * 3, [""] * 2),
        ([OWNER | {"apiVersion": "apps/"}], [".apiVersion"]),
        ([OWNER | {"apiVersion": "a/b/c"}], [".apiVersion"]),
        ([CONTROLLER, CONTROLLER, OWNER | {"uid": ""}], ["", ".uid"]),
    ],
)
def test_owners(owners: list[Obj], found: list[str]) -> None:
    assert paths(validate_owners(owners)) == [f"metadata.ownerReferences{p}" for p in found]


def test_new_finalizers_of_what_ends_are_sorted() -> None:
    old = {"metadata": {"deletionTimestamp": "t"}}
    new = {"metadata": {"deletionTimestamp": "t", "finalizers": ["b", "a", "b"]}}
    (error,) = validate_meta_update(new, old)
    assert error.detail.endswith('[]string{"a", "b"}')
