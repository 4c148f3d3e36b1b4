"""The Node object."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tiphys.api.meta import Obj
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.machine import Machine
from tiphys.kubelet.node_status import (
    Health,
    addresses,
    events_of,
    is_due,
    new_node,
    node_status,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = Machine(2, 4 << 30, 100 << 30, "amd64", "6.1", "Debian", "m", "s", "b", "h")
HERE = Path("/x")
CONFIG = KubeletConfig(HERE, "n", "10.0.0.1", "s", HERE, HERE, HERE, HERE, HERE)


def status_of(health: Health, before: Obj | None = None) -> Obj:
    return node_status(
        CONFIG, MACHINE, before or {}, health, runtime_version="tiphys://1", images=[], now=NOW
    )


def test_a_well_node_is_ready() -> None:
    status = status_of(Health())
    found = {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}
    assert found == {
        "MemoryPressure": (
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        "DiskPressure": (
            "False",
            "KubeletHasNoDiskPressure",
            "kubelet has no disk pressure",
        ),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }
    assert status["capacity"]["memory"] == "4194304Ki"
    assert status["allocatable"]["memory"] == "4091904Ki"
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_what_is_wrong_is_said() -> None:
    status = status_of(Health(runtime_error="no runtime", memory_available=1))
    found = {c["type"]: (c["status"], c["message"]) for c in status["conditions"]}
    assert found["Ready"] == ("False", "no runtime")
    assert found["MemoryPressure"] == ("True", "kubelet has insufficient memory available")


def test_labels_are_upstreams() -> None:
    assert new_node(CONFIG, MACHINE)["metadata"]["labels"] == {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": "n",
        "kubernetes.io/os": "linux",
    }


def test_events_tell_changes_only() -> None:
    unready = status_of(Health(network_error="x"))
    ready = status_of(Health(), unready)
    assert events_of({}, unready) == [
        "NodeHasSufficientMemory",
        "NodeHasNoDiskPressure",
        "NodeHasSufficientPID",
    ]
    assert events_of(unready, ready) == ["NodeReady"]
    assert events_of(ready, ready) == []


def test_a_status_is_written_on_change_and_every_five_minutes() -> None:
    status = status_of(Health())
    assert not is_due(status, status, 0, 299)
    assert is_due(status, status, 0, 300)
    assert is_due(status, status_of(Health(network_error="x")), 0, 1)


def test_others_conditions_stay() -> None:
    other = {"type": "NetworkUnavailable", "status": "False"}
    status = status_of(Health(), {"conditions": [other]})
    assert status["conditions"][0] == other


def test_a_cloud_completes_the_node() -> None:
    waiting = replace(CONFIG, external_cloud=True)
    taints = new_node(waiting, MACHINE)["spec"]["taints"]
    assert [t["key"] for t in taints] == ["node.cloudprovider.kubernetes.io/uninitialized"]
    assert "taints" not in new_node(CONFIG, MACHINE)["spec"]
    told = [{"type": "ExternalIP", "address": "203.0.113.1"}]
    own = addresses(CONFIG, {"addresses": told})
    assert own == [
        {"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "Hostname", "address": "n"},
    ]
    assert addresses(waiting, {}) == own, "until the cloud has told"
    assert addresses(waiting, {"addresses": told}) == told
