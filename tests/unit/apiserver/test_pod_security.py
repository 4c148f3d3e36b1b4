"""What pods of each level may be, in upstream's words.

Source: the documentation page "Pod Security Standards"; messages as upstream's check_*_test.go
expects them.
"""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.apiserver.admission.pod_security import is_significant, pods_warnings
from tiphys.apiserver.pod_security.evaluation import details, violations
from tiphys.apiserver.pod_security.policy import LATEST, LevelVersion, policy_of

BASELINE = LevelVersion("baseline")
RESTRICTED = LevelVersion("restricted")
GOOD: Obj = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def a_pod(
    context: Any = None, *, pod: Any = None, notes: dict[str, str] | None = None, **spec: Any
) -> Obj:
    """A pod with one container, c; context is the container's, pod the pod's."""
    container: Obj = {"name": "c", "image": "i", **spec.pop("container", {})}
    if context is not None:
        container["securityContext"] = context
    found: Obj = {
        "metadata": {"name": "p", "annotations": notes or {}},
        "spec": {"containers": [container], **spec},
    }
    if pod is not None:
        found["spec"]["securityContext"] = pod
    return found


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (a_pod(), ""),
        (a_pod(hostNetwork=True), "host namespaces (hostNetwork=true)"),
        (
            a_pod(hostPID=True, hostIPC=True, hostNetwork=True),
            "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
        ),
        (
            a_pod({"privileged": True}),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (a_pod({"privileged": False}), ""),
        (
            a_pod({"capabilities": {"add": ["NET_RAW", "CHOWN"]}}),
            'non-default capabilities (container "c" must not include "NET_RAW" in '
            "securityContext.capabilities.add)",
        ),
        (a_pod({"capabilities": {"add": ["NET_BIND_SERVICE", "KILL"]}}), ""),
        (
            a_pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            'hostPath volumes (volume "v")',
        ),
        (
            a_pod(volumes=[{"name": n, "hostPath": {"path": "/"}} for n in "vw"]),
            'hostPath volumes (volumes "v", "w")',
        ),
        (
            a_pod(container={"ports": [{"containerPort": 1, "hostPort": 80}]}),
            'hostPort (container "c" uses hostPort 80)',
        ),
        (a_pod(container={"ports": [{"containerPort": 1}]}), ""),
        (
            a_pod(container={"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
            'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
        ),
        (
            a_pod(container={"lifecycle": {"preStop": {"tcpSocket": {"host": "h", "port": 1}}}}),
            'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
        ),
        (
            a_pod({"procMount": "Unmasked"}),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (a_pod({"procMount": "Unmasked"}, hostUsers=False), ""),
        (a_pod({"procMount": "Default"}), ""),
        (
            a_pod(pod={"appArmorProfile": {"type": "Unconfined"}}),
            'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
        ),
        (
            a_pod(notes={"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}),
            "forbidden AppArmor profile (annotation must not set AppArmor profile type to "
            '"container.apparmor.security.beta.kubernetes.io/c="unconfined"")',
        ),
        (a_pod(notes={"container.apparmor.security.beta.kubernetes.io/c": "localhost/x"}), ""),
        (
            a_pod({"seLinuxOptions": {"type": "spc_t", "user": "u"}}),
            'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: '
            'type "spc_t"; user may not be set)',
        ),
        (a_pod(pod={"seLinuxOptions": {"type": "container_engine_t"}}), ""),
        (
            a_pod({"seccompProfile": {"type": "Unconfined"}}),
            'seccompProfile (container "c" must not set securityContext.seccompProfile.type to '
            '"Unconfined")',
        ),
        (
            a_pod(
                {"seccompProfile": {"type": "Unconfined"}},
                pod={"seccompProfile": {"type": "Unconfined"}},
            ),
            'seccompProfile (pod and container "c" must not set '
            'securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            a_pod(pod={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (a_pod(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}), ""),
        (
            a_pod(pod={"windowsOptions": {"hostProcess": True}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ],
)
def test_baseline(pod: Obj, words: str) -> None:
    assert details(violations(BASELINE, pod)) == words
    assert violations(LevelVersion(), pod) == []


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (a_pod(GOOD), ""),
        (
            a_pod(),
            'allowPrivilegeEscalation != false (container "c" must set '
            "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
            '(container "c" must set securityContext.capabilities.drop=["ALL"]), '
            'runAsNonRoot != true (pod or container "c" must set '
            'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
            'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
        ),
        (
            a_pod(GOOD | {"allowPrivilegeEscalation": True}),
            'allowPrivilegeEscalation != false (container "c" must set '
            "securityContext.allowPrivilegeEscalation=false)",
        ),
        (
            a_pod(GOOD | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}),
            'unrestricted capabilities (container "c" must not include "CHOWN" in '
            "securityContext.capabilities.add)",
        ),
        (a_pod(GOOD | {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}), ""),
        (
            a_pod(GOOD, volumes=[{"name": "v", "nfs": {}}, {"name": "w", "secret": {}}]),
            'restricted volume types (volume "v" uses restricted volume type "nfs")',
        ),
        (
            a_pod(GOOD, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            'restricted volume types (volume "v" uses restricted volume type "hostPath")',
        ),
        (
            a_pod(GOOD | {"runAsNonRoot": False}),
            'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
        ),
        (a_pod({k: v for k, v in GOOD.items() if k != "runAsNonRoot"}, hostUsers=False), ""),
        (
            a_pod(GOOD | {"runAsUser": 0}, pod={"runAsUser": 0}),
            'runAsUser=0 (pod and container "c" must not set runAsUser=0)',
        ),
        (a_pod(GOOD, pod={"runAsUser": 1000}), ""),
        (
            a_pod(GOOD | {"procMount": "Unmasked"}, hostUsers=False),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            a_pod(GOOD | {"privileged": True}),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            a_pod({k: v for k, v in GOOD.items() if k != "seccompProfile"}),
            'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type '
            'to "RuntimeDefault" or "Localhost")',
        ),
        (
            a_pod(
                {k: v for k, v in GOOD.items() if k != "seccompProfile"},
                pod={"seccompProfile": {"type": "Localhost", "localhostProfile": "x"}},
            ),
            "",
        ),
    ],
)
def test_restricted(pod: Obj, words: str) -> None:
    assert details(violations(RESTRICTED, pod)) == words


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_all_kinds_of_containers_count(kind: str) -> None:
    pod = a_pod(GOOD)
    pod["spec"][kind] = [{"name": "d", "securityContext": {"privileged": True}}]
    assert details(violations(BASELINE, pod)) == (
        'privileged (container "d" must not set securityContext.privileged=true)'
    )


@pytest.mark.parametrize(
    ("level", "minor", "pod", "allowed"),
    [
        ("restricted", 7, a_pod({"runAsNonRoot": True}), True),
        ("restricted", 8, a_pod({"runAsNonRoot": True}), False),
        ("restricted", 22, a_pod(GOOD | {"runAsUser": 0}), True),
        ("restricted", 23, a_pod(GOOD | {"runAsUser": 0}), False),
        ("restricted", 34, a_pod(GOOD | {"runAsUser": 0}, hostUsers=False), False),
        ("restricted", 35, a_pod(GOOD | {"runAsUser": 0}, hostUsers=False), True),
        ("baseline", 18, a_pod({"seccompProfile": {"type": "Unconfined"}}), True),
        ("baseline", 19, a_pod({"seccompProfile": {"type": "Unconfined"}}), False),
        (
            "baseline",
            18,
            a_pod(notes={"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}),
            False,
        ),
        ("baseline", 26, a_pod(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), False),
        ("baseline", 32, a_pod(pod={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), True),
        ("baseline", 30, a_pod({"seLinuxOptions": {"type": "container_engine_t"}}), False),
        ("baseline", 31, a_pod({"seLinuxOptions": {"type": "container_engine_t"}}), True),
        ("baseline", 33, a_pod(container={"startupProbe": {"tcpSocket": {"host": "h"}}}), True),
        ("baseline", 34, a_pod(container={"startupProbe": {"tcpSocket": {"host": "h"}}}), False),
    ],
)
def test_rules_are_those_of_the_version(level: str, minor: int, pod: Obj, allowed: bool) -> None:
    assert (violations(LevelVersion(level, minor), pod) == []) is allowed


@pytest.mark.parametrize(
    ("labels", "wanted", "errors"),
    [
        ({}, ("privileged:latest",) * 3, []),
        (
            {"enforce": "baseline", "warn": "restricted", "warn-version": "v1.25"},
            ("baseline:latest", "privileged:latest", "restricted:v1.25"),
            [],
        ),
        (
            {"enforce": "strict", "audit": "strict"},
            ("restricted:latest", "privileged:latest", "privileged:latest"),
            ["enforce", "audit"],
        ),
        (
            {"enforce": "baseline", "enforce-version": "1.25"},
            ("baseline:latest", "privileged:latest", "baseline:latest"),
            ["enforce-version"],
        ),
    ],
)
def test_labels(labels: dict[str, str], wanted: tuple[str, ...], errors: list[str]) -> None:
    prefix = "pod-security.kubernetes.io/"
    policy, found = policy_of({f"{prefix}{key}": value for key, value in labels.items()})
    assert tuple(map(str, policy)) == wanted
    assert [e.path for e in found] == [f"metadata.labels[{prefix}{key}]" for key in errors]


def test_latest_is_newer_than_all() -> None:
    assert LevelVersion("baseline", LATEST) == LevelVersion("baseline")


def test_pods_that_are_there_already() -> None:
    pods = [a_pod(hostPID=True) for _ in range(3)] + [a_pod({"privileged": True}), a_pod()]
    for number, pod in enumerate(pods):
        pod["metadata"]["name"] = f"p{number}"
    assert pods_warnings("ns", BASELINE, pods) == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level '
        '"baseline:latest"',
        "p0 (and 2 other pods): host namespaces",
        "p3: privileged",
    ]
    assert pods_warnings("ns", BASELINE, [a_pod()]) == []


@pytest.mark.parametrize(
    ("new", "wanted"),
    [
        (a_pod(), False),
        (a_pod(container={"image": "j"}), True),
        (a_pod(notes={"seccomp.security.alpha.kubernetes.io/pod": "x"}), True),
        (a_pod(notes={"x": "y"}), False),
        (a_pod(ephemeralContainers=[{"name": "e", "image": "i"}]), True),
    ],
)
def test_which_updates_are_looked_at(new: Obj, wanted: bool) -> None:
    assert is_significant(new, a_pod()) is wanted
