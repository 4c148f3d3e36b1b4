"""What a new pod may be, beyond what the recorded answers of upstream show."""

from typing import Any

import pytest

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core.pod import POD
from tiphys.apiserver.resources.rules import workload

NODE_AFFINITY = "spec.affinity.nodeAffinity"


def container(**more: Any) -> Obj:
    return {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
    } | more


def spec(*containers: Obj, **more: Any) -> Obj:
    return {
        "containers": list(containers) or [container()],
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
    } | more


def problems(spec: Obj, **notes: str) -> list[FieldError]:
    pod = {"metadata": {"name": "p", "annotations": named(notes)}, "spec": spec}
    return POD.validate(pod) + POD.validate_create(pod)


def named(notes: dict[str, str]) -> dict[str, str]:
    return {_NOTES[key]: value for key, value in notes.items()}


_NOTES = {
    "mirror": "kubernetes.io/config.mirror",
    "cost": "controller.kubernetes.io/pod-deletion-cost",
    "seccomp": "seccomp.security.alpha.kubernetes.io/pod",
    "seccomp_c": "container.seccomp.security.alpha.kubernetes.io/c",
    "app_armor_c": "container.apparmor.security.beta.kubernetes.io/c",
    "app_armor_z": "container.apparmor.security.beta.kubernetes.io/z",
}


def volume(**source: Any) -> Obj:
    return spec(volumes=[{"name": "v"} | source])


def in_affinity(term: Obj) -> Obj:
    rules = {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
    return spec(affinity={"nodeAffinity": rules})


def spread(**more: Any) -> Obj:
    constraint = {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}
    return spec(topologySpreadConstraints=[constraint | more])


BOTH_KEYS = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}
HUGE = {"limits": {"hugepages-x": "1Mi", "cpu": "1"}}
BIG = {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (spec(), []),
        (spec(container(image=" i")), ["spec.containers[0].image"]),
        (spec(runtimeClassName=""), ["spec.runtimeClassName"]),
        (spec(imagePullSecrets=[{}]), []),
        (spec(overhead={"hugepages-2Mi": "1Mi", "cpu": "1"}),
         ["spec.overhead.limits[hugepages-2Mi]"]),
        (spec(ephemeralContainers=[container(name="e", image="i ")]),
         ["spec.ephemeralContainers[0].image", "spec.ephemeralContainers"]),
        (spec(nodeName="n", schedulingGates=[{"name": "g"}]), ["spec.nodeName"]),
        (spec(initContainers=[container(name="")] * 2),
         ["spec.initContainers[0].name", "spec.initContainers[1].name"]),
        (spec(initContainers=[container(
            name="s", restartPolicy="Always",
            restartPolicyRules=[{"action": "x", "exitCodes": {"operator": "In", "values": [1]}}],
         )]), ["spec.initContainers[0].restartPolicyRules[0].action"]),
        (spec(initContainers=[container(name="s", restartPolicyRules=[{"action": "x"}])]),
         ["spec.initContainers[0].restartPolicy"]),
        (spec(container(envFrom=[{"secretRef": {"name": "a-"}}])), []),
        (spec(container(volumeDevices=[{"devicePath": "/a"}, {"devicePath": "/b"}])),
         ["spec.containers[0].volumeDevices[0].name"] * 2
         + ["spec.containers[0].volumeDevices[1].name"] * 2),
        (spec(container(resources=HUGE)), ["spec.containers[0].resources.limits[hugepages-x]"]),
        (spec(container(resources={"claims": [{}]})),
         ["spec.containers[0].resources.claims[0]"] * 2),
        (spec(container(resources={"claims": [{"name": "r"}, {"name": "r", "request": "x"}]}),
              resourceClaims=[{"name": "r", "resourceClaimName": "r"}]),
         ["spec.containers[0].resources.claims[1]"]),
        (spec(container(resources={"claims": [{"name": "r", "request": "x"}, {"name": "r"}]}),
              resourceClaims=[{"name": "r", "resourceClaimName": "r"}]),
         ["spec.containers[0].resources.claims[1]"]),
        (spec(container(resources=BIG), resources={"requests": {"cpu": "1"},
                                                   "limits": {"cpu": "3"}}),
         ["spec.resources.requests[cpu]", "spec.resources.containers[0][cpu].limits"]),
        (spec(container(resources=BIG), initContainers=[
            container(name="a", restartPolicy="Always", resources={"requests": {"cpu": "1"}}),
            container(name="b", resources={"requests": {"cpu": "3"}}),
         ], resources={"requests": {"cpu": "4"}}), []),
        (spec(resources={"requests": {"storage": "1"}}), ["spec.resources.requests[storage]"]),
        (spec(os={"name": "windows"}, resources={"requests": {"cpu": "1"}}), ["spec.resources"]),
        (spec(container(securityContext={"procMount": "Default", "runAsUser": 0}),
              os={"name": "windows"}, hostPID=False, hostUsers=True,
              securityContext={"fsGroup": 0, "sysctls": []}),
         ["spec.hostUsers", "spec.securityContext.fsGroup",
          "spec.containers[0].securityContext.procMount",
          "spec.containers[0].securityContext.runAsUser"]),
        (spec(container(securityContext={"windowsOptions": {}}), os={"name": "linux"}),
         ["spec.containers[0].securityContext.windowsOptions"]),
        (spec(container(securityContext={"windowsOptions": {"hostProcess": False}}),
              container(name="d"), securityContext={"windowsOptions": {"hostProcess": True}}),
         ["spec.containers[0].securityContext.windowsOptions.hostProcess", "spec",
          "spec.hostNetwork"]),
        (in_affinity({"weight": 1, "preference": {"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["no label!"]}]}}), []),
        (spread(matchLabelKeys=["a"], labelSelector=BOTH_KEYS),
         ["spec.topologySpreadConstraints[0][0]"]),
        (spread(matchLabelKeys=["no key!"]), ["spec.topologySpreadConstraints[0].matchLabelKeys"]),
    ],
)  # fmt: skip
def test_a_new_pod(spec: Obj, paths: list[str]) -> None:
    assert [e.path for e in problems(spec)] == paths


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ({"gitRepo": {"repository": "r", "directory": "/a/.."}}, ["gitRepo.directory"] * 2),
        ({"iscsi": {"targetPortal": "p", "iqn": "x", "initiatorName": "eui.1"}},
         ["iscsi.iqn", "iscsi.initiatorname"]),
        ({"iscsi": {"targetPortal": "p" * 63, "iqn": "naa." + "0" * 32,
                    "initiatorName": "iqn.2020-01.a.b:c"}}, ["name"]),
        ({"fc": {"targetWWNs": ["w"], "wwids": ["w"], "lun": 256}}, ["fc.targetWWNs", "fc.lun"]),
        ({"quobyte": {"registry": "a:1,b", "volume": "v"}}, ["quobyte.registry"]),
        ({"quobyte": {"registry": "[::1]:1", "volume": "v", "tenant": "t" * 65}},
         ["quobyte.tenant"]),
        ({"flocker": {}}, ["flocker"]),
        ({"flocker": {"datasetName": "a/b", "datasetUUID": "u"}},
         ["flocker", "flocker.datasetName"]),
        ({"cinder": {"volumeID": "v", "secretRef": {}}}, ["cinder.secretRef.name"]),
        ({"flexVolume": {"driver": "d", "options": {"a.K8s.io/x": "y", "x": "y"}}},
         ["flexVolume.options[a.K8s.io/x]"]),
        ({"azureDisk": {"diskName": "d", "diskURI": "u", "cachingMode": "x", "kind": "y"}},
         ["azureDisk.cachingMode", "azureDisk.kind", "azureDisk.diskURI"]),
        ({"storageos": {"volumeName": "A", "volumeNamespace": "B", "secretRef": {}}},
         ["storageos.volumeName", "storageos.volumeNamespace", "storageos.secretRef.name"]),
        ({"csi": {"driver": "D" * 64, "nodePublishSecretRef": {"name": "A"}}},
         ["csi.driver", "csi.name"]),
        ({"image": {"pullPolicy": "Always"}}, ["image.reference"]),
        ({"ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"a": "!"}, "annotations": {"!": ""}, "name": "n"},
            "spec": {"accessModes": ["ReadWriteOnce"],
                     "resources": {"requests": {"storage": "1"}}}}}},
         ["ephemeral.volumeClaimTemplate.metadata.annotations",
          "ephemeral.volumeClaimTemplate.metadata.labels",
          "ephemeral.volumeClaimTemplate.metadata.name"]),
        ({"projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 600}}]}},
         ["projected.path"]),
        ({"projected": {"sources": [{"secret": {"name": "s"}, "configMap": {"name": "c"}}]}},
         ["projected.sources[0]"]),
    ],
)  # fmt: skip
def test_volumes(source: Obj, paths: list[str]) -> None:
    found = [e.path for e in problems(volume(**source))]
    assert found == [f"spec.volumes[0].{path}" for path in paths]


def test_a_claim_of_an_ephemeral_volume_is_not_named() -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
    made = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    taken = {"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}}
    found = problems(spec(volumes=[made, taken]))
    assert [e.path for e in found] == ["spec.volumes[1].persistentVolumeClaim.claimName"]


LOCAL = {"type": "Localhost", "localhostProfile": "a"}


@pytest.mark.parametrize(
    ("notes", "more", "paths"),
    [
        ({"mirror": "m"}, {}, ["mirror"]),
        ({"mirror": "m"}, {"nodeName": "n"}, []),
        ({"cost": "+1"}, {}, ["cost"]),
        ({"cost": "2147483648"}, {}, ["cost"]),
        ({"cost": "-008"}, {}, []),
        ({"app_armor_c": "x", "app_armor_z": "unconfined"}, {}, ["app_armor_c", "app_armor_z"]),
        ({"app_armor_c": "localhost/b"}, {"appArmorProfile": LOCAL}, ["localhostProfile"]),
        ({"app_armor_c": "unconfined"}, {"appArmorProfile": LOCAL}, ["type"]),
        ({"seccomp": "x", "seccomp_c": "localhost/../a"}, {}, ["seccomp", "seccomp_c"]),
        ({"seccomp": "unconfined"}, {"seccompProfile": {"type": "RuntimeDefault"}}, ["type"]),
        ({"seccomp": "docker/default"}, {"seccompProfile": {"type": "RuntimeDefault"}}, []),
        ({"seccomp": "localhost/b"}, {"seccompProfile": LOCAL}, ["localhostProfile"]),
    ],
)  # fmt: skip
def test_annotations(notes: dict[str, str], more: Obj, paths: list[str]) -> None:
    context = {k: v for k, v in more.items() if k != "nodeName"}
    node = {k: v for k, v in more.items() if k == "nodeName"}
    found = problems(spec(securityContext=context, **node), **notes)
    keys = {_NOTES[key]: key for key in notes}
    ends = [next((keys[k] for k in keys if k in e.path), e.path.split(".")[-1]) for e in found]
    assert ends == paths


def test_mirrors_claim_no_devices() -> None:
    claims = [{"name": "r", "resourceClaimName": "r"}]
    found = problems(spec(resourceClaims=claims, nodeName="n"), mirror="m")
    assert [str(e) for e in found] == ["[]: Forbidden: static pods do not support resource claims"]


def test_templates_are_told_of_annotations_and_keep_images_open() -> None:
    found = volume(image={"pullPolicy": "Always"})
    template = {"metadata": {"annotations": {_NOTES["cost"]: "x"}}, "spec": found}
    errors = workload.template(template, "t")
    assert [e.path for e in errors] == [f"t.annotations[{_NOTES['cost']}]"]


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("metadata.labels['a']", ""),
        ("metadata.labels['a['b']", "name part must consist of"),
        ("metadata.name['a']", "field label does not support subscript: metadata.name['a']"),
        ("['a']", "field label not supported: ['a']"),
    ],
)
def test_fields_of_pods_for_variables(label: str, why: str) -> None:
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": label}}
    found = problems(spec(container(env=[{"name": "A", "valueFrom": source}])))
    assert [why in e.detail for e in found] == ([True] if why else [])


def test_sysctls_of_the_host() -> None:
    names = ("kernel.shmx", "kernel/shmall", "fs.mqueue.a", "net.a", "kernel.msgmax")
    context = {"sysctls": [{"name": name, "value": "1"} for name in names]}
    found = problems(spec(hostIPC=True, hostNetwork=True, securityContext=context))
    assert [e.path for e in found] == [
        f"spec.securityContext.sysctls[{index}].name" for index in (1, 2, 3, 4)
    ]
