"""The bundled Prometheus configuration, filled in for a profile."""

from pathlib import Path
from typing import Any

import yaml

from tiphys.cluster.monitoring.prometheus_config import config_text, rules_path
from tiphys.cluster.profile import MASTER, Node, Profile, Roots


def jobs(*nodes: Node) -> dict[str, Any]:
    profile = Profile(
        name="p",
        roots=Roots(Path("/state"), Path("/run")),
        api_port=8443,
        node_cidr="192.168.49.0/24",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
        load_balancer_pool="",
        nodes=nodes,
    )
    config = yaml.safe_load(config_text(profile, Path("/rules.yml")))
    assert config["rule_files"] == ["/rules.yml"]
    return {job["job_name"]: job for job in config["scrape_configs"]}


def targets(job: dict[str, Any]) -> list[str]:
    [group] = job["static_configs"]
    return list(group["targets"])


def test_a_control_plane_on_the_host() -> None:
    found = jobs(Node("p", "192.168.49.2"))
    assert targets(found["apiserver"]) == ["192.168.49.1:8443"]
    assert targets(found["kube-scheduler"]) == ["192.168.49.1:10259"]
    [discovery] = found["kube-proxy"]["http_sd_configs"]
    assert discovery["url"] == "https://192.168.49.1:4443/targets/10249"
    assert "etcd" not in found


def test_masters_of_their_own() -> None:
    masters = [Node(f"m{n}", f"192.168.49.{n}", role=MASTER) for n in (2, 3, 4)]
    found = jobs(*masters)
    assert targets(found["apiserver"]) == [f"{m.address}:6443" for m in masters]
    assert targets(found["etcd"]) == [f"{m.address}:2379" for m in masters]


def test_the_rules_are_installed() -> None:
    assert "TargetDown" in rules_path().read_text()
