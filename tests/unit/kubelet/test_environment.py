"""Environment, expansion and references, as recorded in node/env."""

from typing import Any

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.environment import ConfigError, environment, service_variables
from tiphys.kubelet.expansion import expand
from tiphys.kubelet.field_ref import FieldRefError, field_value, resource_value
from unit.kubelet.builders import a_container, a_pod


class Objects:
    def config_map(self, name: str) -> Obj | None:
        return {"data": {"k": "from cm", "a.b": "dot"}} if name == "cm" else None

    def secret(self, name: str) -> dict[str, str] | None:
        return {"k": "from secret"} if name == "s" else None


def env_of(*variables: Obj, sources: list[Obj] | None = None, services: Any = ()) -> dict[str, str]:
    container = a_container(env=list(variables), envFrom=sources or [])
    return environment(
        a_pod(container), container, sources=Objects(), services=services, allocatable={}
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)-$(A)", "x-x"),
        ("$$(A) $(NOPE) $A", "$(A) $(NOPE) $A"),
        ("$$$(A) $$$$(A) $( $() $(A", "$x $$(A) $( $() $(A"),
        ("plain", "plain"),
        ("end$", "end$"),
    ],
)
def test_expansion(text: str, wanted: str) -> None:
    assert expand(text, {"A": "x"}) == wanted


def test_later_values_win_and_may_refer_to_earlier_ones() -> None:
    found = env_of(
        {"name": "A", "value": "1"},
        {"name": "A", "value": "2"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C"},
    )
    assert found == {"A": "2", "B": "2$(C)", "C": ""}


def test_references() -> None:
    found = env_of(
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {
            "name": "C",
            "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": True}},
        },
        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
        sources=[{"prefix": "P_", "configMapRef": {"name": "cm"}}],
    )
    assert found == {
        "P_a.b": "dot",
        "P_k": "from cm",
        "A": "from cm",
        "B": "from secret",
        "D": "p",
        "E": "0",
    }


@pytest.mark.parametrize(
    ("variables", "sources", "message"),
    [
        (
            [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "k"}}}],
            [],
            'secret "nope" not found',
        ),
        (
            [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no"}}}],
            [],
            "couldn't find key no in ConfigMap ns/cm",
        ),
        ([], [{"secretRef": {"name": "nope"}}], 'secret "nope" not found'),
        ([], [{"configMapRef": {"name": "nope"}}], 'configmap "nope" not found'),
    ],
)
def test_missing_references(variables: list[Obj], sources: list[Obj], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        env_of(*variables, sources=sources)


def a_service(name: str, namespace: str, ports: list[Obj]) -> Obj:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": "10.0.0.9", "ports": ports},
    }


def test_service_links() -> None:
    """node/run/27."""
    service = a_service(
        "my-svc", "ns", [{"name": "web", "port": 80}, {"name": "b", "port": 90, "protocol": "UDP"}]
    )
    assert service_variables(a_pod(), [service]) == {
        "MY_SVC_SERVICE_HOST": "10.0.0.9",
        "MY_SVC_SERVICE_PORT": "80",
        "MY_SVC_SERVICE_PORT_WEB": "80",
        "MY_SVC_SERVICE_PORT_B": "90",
        "MY_SVC_PORT": "tcp://10.0.0.9:80",
        "MY_SVC_PORT_80_TCP": "tcp://10.0.0.9:80",
        "MY_SVC_PORT_80_TCP_PROTO": "tcp",
        "MY_SVC_PORT_80_TCP_PORT": "80",
        "MY_SVC_PORT_80_TCP_ADDR": "10.0.0.9",
        "MY_SVC_PORT_90_UDP": "udp://10.0.0.9:90",
        "MY_SVC_PORT_90_UDP_PROTO": "udp",
        "MY_SVC_PORT_90_UDP_PORT": "90",
        "MY_SVC_PORT_90_UDP_ADDR": "10.0.0.9",
    }


def test_without_links_only_the_api_is_known() -> None:
    services = [
        a_service("kubernetes", "default", [{"name": "https", "port": 443}]),
        a_service("other", "ns", [{"port": 1}]),
    ]
    found = service_variables(a_pod(enableServiceLinks=False), services)
    assert {name.split("_")[0] for name in found} == {"KUBERNETES"}


def test_fields() -> None:
    pod = a_pod(status={"podIPs": [{"ip": "1.1.1.1"}, {"ip": "::1"}]})
    pod["metadata"]["labels"] = {"b": "2", "a": 'say "hi"'}
    assert field_value(pod, "metadata.labels") == 'a="say \\"hi\\""\nb="2"'
    assert field_value(pod, "metadata.labels['b']") == "2"
    assert field_value(pod, "status.podIPs") == "1.1.1.1,::1"
    with pytest.raises(FieldRefError):
        field_value(pod, "spec.containers")


@pytest.mark.parametrize(
    ("resource", "divisor", "wanted"),
    [
        ("limits.memory", "1Mi", "48"),
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.memory", "1", "0"),
        ("limits.ephemeral-storage", "1Ki", "10"),
    ],
)
def test_resource_fields(resource: str, divisor: str, wanted: str) -> None:
    container = a_container(resources={"limits": {"memory": "48Mi", "cpu": "1500m"}})
    reference = {"resource": resource, "divisor": divisor}
    node = {"ephemeral-storage": "10Ki"}
    assert resource_value(a_pod(container), container, reference, node) == wanted
