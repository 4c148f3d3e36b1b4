"""What writers of pods and pod templates are told of though it is accepted."""

from typing import Any

import pytest

from tiphys.apiserver.resources.rules import pod_warnings
from tiphys.apiserver.warning_bounds import WARNINGS_MAX
from unit.apiserver.many import MANY, seconds_of

ARCH = 'beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead'
ARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
NULL = "a null labelSelector results in matching no pod"
HOST = "which may be dropped when using apply"
C0, C1 = "spec.containers[0]", "spec.containers[1]"


def ports(*found: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"ports": list(found[:1])}, {"ports": list(found[1:])}]}


def port(number: int, **more: Any) -> dict[str, Any]:
    return {"containerPort": number, "protocol": "TCP"} | more


def env(*values: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"env": [{"name": "A"} | v for v in values]}]}


def files(*paths: str) -> dict[str, Any]:
    return {"items": [{"key": "k", "path": path} for path in paths]}


SPECS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"nodeSelector": {"node-role.kubernetes.io/master": ""}},
        [
            "spec.nodeSelector[node-role.kubernetes.io/master]:"
            ' use "node-role.kubernetes.io/control-plane" instead'
        ],
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "preference": {
                                "matchExpressions": [
                                    {"key": "beta.kubernetes.io/arch", "values": ["a", "b..c_"]}
                                ]
                            }
                        }
                    ]
                },
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {}}]
                },
            }
        },
        [
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
            f".preference.matchExpressions[0].key: {ARCH}",
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
            ".preference.matchExpressions[0].values[1]: b..c_ is invalid, a valid label must be an"
            " empty string or consist of alphanumeric characters, '-', '_' or '.', and must start"
            " and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345',"
            " regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
            f".podAffinityTerm.labelSelector: {NULL}",
        ],
    ),
    (
        {"topologySpreadConstraints": [{"topologyKey": "beta.kubernetes.io/arch"}]},
        [
            f"spec.topologySpreadConstraints[0].topologyKey: {ARCH}",
            f"spec.topologySpreadConstraints[0].labelSelector: {NULL}",
        ],
    ),
    (
        {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
        ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
    ),
    (
        {"imagePullSecrets": [{}, {"name": "a"}, {"name": "a"}]},
        [
            'spec.imagePullSecrets[2].name: duplicate name "a"',
            'spec.imagePullSecrets[0].name: invalid empty name ""',
        ],
    ),
    (
        {"overhead": {"cpu": "5m", "memory": "500m"}},
        [
            'spec.overhead[memory]: fractional byte value "500m" is invalid, must be an integer',
        ],
    ),
    (env({"value": "x"}, {}), [f'{C0}.env[1]: hides previous definition of "A", {HOST}']),
    (env({"value": "x"}, {"value": "$(A):y"}), []),
    (
        env({"value": "x"}, {"value": "$(A)"}),
        [f'{C0}.env[1]: hides previous definition of "A", {HOST}'],
    ),
    (
        env({"value": "x"}, {"valueFrom": {}, "value": "$(A)y"}),
        [f'{C0}.env[1]: hides previous definition of "A", {HOST}'],
    ),
    (
        ports(port(80), port(81), port(80)),
        [f"{C1}.ports[1]: duplicate port definition with {C0}.ports[0]"],
    ),
    (
        ports(port(80, hostPort=8080), port(80)),
        [f"{C1}.ports[0]: overlapping port definition with {C0}.ports[0]"],
    ),
    (
        ports(port(80, hostPort=8080), port(80, hostPort=8080, hostIP="10.0.0.1")),
        [f"{C1}.ports[0]: dangerously ambiguous port definition with {C0}.ports[0]"],
    ),
    (ports(port(80, hostPort=8080), port(80, hostPort=8081)), []),
    (
        ports(
            port(80, hostPort=80, hostIP="10.0.0.1"),
            port(80, hostPort=80),
            port(80, hostPort=80, hostIP="10.0.0.2"),
        ),
        [
            f"{C1}.ports[0]: dangerously ambiguous port definition with {C0}.ports[0]",
            f"{C1}.ports[1]: dangerously ambiguous port definition with {C1}.ports[0]",
        ],
    ),
    (
        ports(port(80, hostPort=8080), port(80), port(80, hostPort=8080), port(80)),
        [
            f"{C1}.ports[0]: overlapping port definition with {C0}.ports[0]",
            f"{C1}.ports[1]: duplicate port definition with {C0}.ports[0]",
            f"{C1}.ports[1]: overlapping port definition with {C1}.ports[0]",
            f"{C1}.ports[2]: overlapping port definition with {C0}.ports[0]",
            f"{C1}.ports[2]: duplicate port definition with {C1}.ports[0]",
            f"{C1}.ports[2]: overlapping port definition with {C1}.ports[1]",
        ],
    ),
    (
        ports(port(80, name="a", hostIP="10.0.0.1"), port(81, name="a")),
        [
            f"{C0}.ports[0]: hostIP set without hostPort: {{Name:a HostPort:0 ContainerPort:80"
            " Protocol:TCP HostIP:10.0.0.1}",
            f'{C1}.ports[0]: duplicate port name "a" with {C0}.ports[0], services and probes that'
            f" select ports by name will use {C0}.ports[0]",
        ],
    ),
    (
        {"terminationGracePeriodSeconds": -1},
        [
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will"
            " be treated as 1"
        ],
    ),
    (
        {"dnsConfig": {"nameservers": ["1.1.1.1", "2001:DB8::1"]}},
        [
            'spec.dnsConfig.nameservers[1]: IPv6 address "2001:DB8::1" should be in RFC 5952'
            ' canonical format ("2001:db8::1")'
        ],
    ),
    (
        {"volumes": [{"name": "v", "configMap": {"name": "c"} | files("a", "a/b", "ab")}]},
        ['volume "v" (ConfigMap "c"): overlapping paths: "a/b" with "a"'],
    ),
    (
        {"volumes": [{"name": "v", "downwardAPI": files("a/b/c", "a/b", "", "a-b", "a/b/", "a")}]},
        [
            f'volume "v" (DownwardAPI): overlapping paths: {text}'
            for text in (
                '"a/b" with "a/b/c"',
                '"a/b" with "a/b"',
                '"a" with "a/b/c"',
                '"a" with "a/b"',
            )
        ],
    ),
    (
        {
            "volumes": [
                {
                    "name": "v",
                    "projected": {
                        "sources": [
                            {"secret": {"name": "s"} | files("token")},
                            {},
                            {"serviceAccountToken": {"path": "token/"}},
                            {"downwardAPI": files("a")},
                        ]
                    },
                }
            ]
        },
        [
            'volume "v" (Projected) has no sources provided',
            'volume "v" (Projected): overlapping paths: "token" (ServiceAccountToken) with'
            ' "token" (Secret "s")',
        ],
    ),
    (
        {
            "volumes": [
                {"name": "w", "storageos": {}},
                {
                    "name": "v",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {"resources": {"requests": {"storage": "500m"}}}
                        }
                    },
                },
            ]
        },
        [
            "spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+",
            "spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]:"
            ' fractional byte value "500m" is invalid, must be an integer',
        ],
    ),
]


@pytest.mark.parametrize(("spec", "wanted"), SPECS)
def test_what_a_spec_is_told_of(spec: dict[str, Any], wanted: list[str]) -> None:
    assert pod_warnings.pod({"metadata": {"name": "a"}, "spec": spec}) == wanted


def noted(**notes: str) -> dict[str, Any]:
    return {"name": "a", "annotations": notes}


@pytest.mark.parametrize(
    ("notes", "spec", "of_pod", "of_template"),
    [
        (
            {"security.alpha.kubernetes.io/sysctls": "a"},
            {},
            ['security.alpha.kubernetes.io/sysctls]: non-functional in v1.11+; use the "sysctls"'],
            ["security.alpha.kubernetes.io/sysctls]"],
        ),
        (
            {"container.seccomp.security.alpha.kubernetes.io/c": "a"},
            {"containers": [{"name": "c"}]},
            [f"container.seccomp.security.alpha.kubernetes.io/c]: {SECCOMP}"],
            [f"container.seccomp.security.alpha.kubernetes.io/c]: {SECCOMP}"],
        ),
        (
            {"seccomp.security.alpha.kubernetes.io/pod": "a"},
            {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
            [],
            [],
        ),
        (
            {f"{ARMOR}c": "unconfined"},
            {"containers": [{"name": "c"}]},
            [f"{ARMOR}c]: deprecated since v1.30"],
            [f"{ARMOR}c]: deprecated since v1.30"],
        ),
        (
            {f"{ARMOR}c": "unconfined"},
            {
                "containers": [{"name": "c"}],
                "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
            },
            [],
            [],
        ),
        (
            {f"{ARMOR}c": "unconfined"},
            {"containers": [{"name": "c"}], "os": {"name": "windows"}},
            [],
            [f"{ARMOR}c]: deprecated since v1.30"],
        ),
        ({f"{ARMOR}other": "unconfined"}, {"containers": [{"name": "c"}]}, [], []),
    ],
)
def test_annotations(
    notes: dict[str, str], spec: dict[str, Any], of_pod: list[str], of_template: list[str]
) -> None:
    found = {"metadata": noted(**notes), "spec": spec}
    for texts, wanted, start in (
        (pod_warnings.pod(found), of_pod, "metadata.annotations["),
        (pod_warnings.template(found, "spec.template"), of_template, "spec.template.metadata.ann"),
    ):
        assert len(texts) == len(wanted)
        for text, part in zip(texts, wanted, strict=True):
            assert text.startswith(start)
            assert part in text


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param(ports(*[port(80)] * MANY), True, id="ports-alike"),
        pytest.param(
            ports(*(port(80, hostPort=n) for n in range(1, MANY))), False, id="ports-of-the-host"
        ),
        pytest.param(
            ports(*(port(80, hostPort=1, hostIP=str(n)) for n in range(MANY))), False, id="ips"
        ),
        pytest.param(
            {"hostAliases": [{"ip": f"10.0.{n >> 8}.{n & 255}"} for n in range(MANY)]},
            False, id="addresses-of-aliases",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": f"s{n}"} for n in range(MANY)]}, False, id="secrets"
        ),
        pytest.param(
            {"volumes": [{"name": "v", "secret": files(*(f"a/{n}" for n in range(MANY)))}]},
            False, id="paths-beside-each-other",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "secret": files(*["a"] * MANY)}]}, True, id="paths-alike"
        ),
        pytest.param(
            {"volumes": [{"name": "v", "secret": files(
                *["a"] * (MANY // 2), *(f"a/{n}" for n in range(MANY // 2)))}]},
            True, id="paths-below-one",
        ),
    ],
)  # fmt: skip
def test_what_costs_too_much(spec: dict[str, Any], told: bool) -> None:
    found: list[str] = []
    pod = {"metadata": {"name": "a"}, "spec": spec}
    assert seconds_of(lambda: found.extend(pod_warnings.pod(pod))) < 1
    assert bool(found) is told
    assert sum(map(len, found)) < 2 * WARNINGS_MAX
