"""Fills the bundled Prometheus configuration in for one profile. Pure but for the template."""

from importlib import resources
from pathlib import Path
from string import Template

from tiphys.cluster.etcd import CLIENT_PORT as ETCD_PORT
from tiphys.cluster.metrics_ports import (
    CLOUD_PORT,
    CONTROLLERS_PORT,
    DNS_PORT,
    PROXY_PORT,
    RUNTIME_PORT,
    SCHEDULER_PORT,
)
from tiphys.cluster.profile import MASTER_PORT, Profile
from tiphys.metrics_server.config import PORT as METRICS_SERVER_PORT
from tiphys.metrics_server.targets import PATH as TARGETS

CONFIG_FILE = "prometheus.yml"
ETCD_FILE = "prometheus_etcd.yml"  # The job for clusters whose masters have etcd.
RULES_FILE = "alerts.yml"


def config_text(profile: Profile, rules: Path) -> str:
    """rules: where the alert rules lie."""
    hosts = [master.address for master in profile.masters] or [profile.gateway]
    api_port = MASTER_PORT if profile.masters else profile.api_port

    def targets(port: int) -> str:
        return ", ".join(f'"{host}:{port}"' for host in hosts)

    template = _text(CONFIG_FILE) + (_text(ETCD_FILE) if profile.masters else "")
    return Template(template).substitute(
        etcd=targets(ETCD_PORT),
        profile=profile.name,
        pki=profile.pki,
        rules=rules,
        targets=f"https://{profile.gateway}:{METRICS_SERVER_PORT}{TARGETS}",
        apiservers=targets(api_port),
        controllers=targets(CONTROLLERS_PORT),
        schedulers=targets(SCHEDULER_PORT),
        clouds=targets(CLOUD_PORT),
        metrics_server=f'"{profile.gateway}:{METRICS_SERVER_PORT}"' if profile.nodes else "",
        proxy_port=PROXY_PORT,
        dns_port=DNS_PORT,
        runtime_port=RUNTIME_PORT,
    )


def rules_text() -> str:
    return _text(RULES_FILE)


def rules_path() -> Path:
    """The rules as installed."""
    return Path(str(resources.files("tiphys.cluster.monitoring").joinpath(RULES_FILE)))


def _text(name: str) -> str:
    return resources.files("tiphys.cluster.monitoring").joinpath(name).read_text("utf-8")
