"""Every bundled alert fires on the series that it is for, and not on healthy ones.

Run by Prometheus' own promtool. Faults that can be made in a test are in e2e/test_prometheus.py.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiphys.cluster.monitoring.prometheus_config import rules_text

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not here: make test-system installs it"
)
CONTAINER = 'namespace="ns",pod="p",container="c"'
# alert -> (series with its values each minute when something is wrong, and when nothing is)
SERIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "TargetDown": ({'up{job="x",instance="y"}': "0x30"}, {'up{job="x",instance="y"}': "1x30"}),
    "KubeAPIDown": ({'up{job="apiserver"}': "0x30"}, {'up{job="apiserver"}': "1x30"}),
    "KubeControllerManagerDown": ({}, {'up{job="kube-controller-manager"}': "1x30"}),
    "KubeSchedulerDown": ({}, {'up{job="kube-scheduler"}': "1x30"}),
    "KubeletDown": ({}, {'up{job="kubelet"}': "1x30"}),
    "KubeAPIErrors": (
        {
            'apiserver_request_total{code="200"}': "0+900x30",
            'apiserver_request_total{code="500"}': "0+100x30",
        },
        {
            'apiserver_request_total{code="200"}': "0+990x30",
            'apiserver_request_total{code="500"}': "0+10x30",
        },
    ),
    "KubeAggregatedAPIDown": (
        {'aggregator_unavailable_apiservice{name="v1.x"}': "1x30"},
        {'aggregator_unavailable_apiservice{name="v1.x"}': "0x30"},
    ),
    "KubeProxyRulesNotWritten": (
        {'kubeproxy_sync_proxy_rules_failures_total{node="n"}': "0+1x30"},
        {'kubeproxy_sync_proxy_rules_failures_total{node="n"}': "3x30"},
    ),
    "KubePodsUnschedulable": (
        {'scheduler_pending_pods{queue="unschedulable"}': "2x30"},
        {'scheduler_pending_pods{queue="active"}': "2x30"},
    ),
    "CPUThrottlingHigh": (
        {
            f"container_cpu_cfs_throttled_periods_total{{{CONTAINER}}}": "0+50x30",
            f"container_cpu_cfs_periods_total{{{CONTAINER}}}": "0+100x30",
        },
        {
            f"container_cpu_cfs_throttled_periods_total{{{CONTAINER}}}": "0+5x30",
            f"container_cpu_cfs_periods_total{{{CONTAINER}}}": "0+100x30",
        },
    ),
    "ContainerMemoryNearLimit": (
        {
            f'container_memory_working_set_bytes{{job="cadvisor",{CONTAINER}}}': "95x30",
            f'container_spec_memory_limit_bytes{{job="cadvisor",{CONTAINER}}}': "100x30",
        },
        {
            f'container_memory_working_set_bytes{{job="cadvisor",{CONTAINER}}}': "95x30",
            f'container_spec_memory_limit_bytes{{job="cadvisor",{CONTAINER}}}': "0x30",
        },
    ),
    "NodeMemoryHigh": (
        {
            'node_memory_working_set_bytes{node="n",job="resource"}': "97x30",
            'machine_memory_bytes{node="n",job="cadvisor"}': "100x30",
        },
        {
            'node_memory_working_set_bytes{node="n",job="resource"}': "60x30",
            'machine_memory_bytes{node="n",job="cadvisor"}': "100x30",
        },
    ),
    "KubeletTooManyPods": (
        {'kubelet_running_pods{node="n"}': "109x30"},
        {'kubelet_running_pods{node="n"}': "30x30"},
    ),
}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(rules_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def count_of(directory: Path, alert: str, series: dict[str, str]) -> str:
    """promtool's words on how many alerts of this name fire after 30 minutes."""
    (directory / "alerts.yml").write_text(rules_text())
    # ALERTS is Prometheus' own series of the alerts that are active.
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    test = {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": "30m",
                        "exp_samples": [{"labels": "{}", "value": -1}],
                    }
                ],
            }
        ],
    }
    (directory / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"got:.*?\{\} ([0-9E+.]+)", done.stdout + done.stderr, re.DOTALL)
    assert found, done.stdout + done.stderr
    return found[1]


def test_every_alert_has_series() -> None:
    assert {rule["alert"] for rule in alerts()} == SERIES.keys()


@pytest.mark.parametrize("alert", SERIES)
def test_it_fires_and_only_then(tmp_path: Path, alert: str) -> None:
    broken, healthy = SERIES[alert]
    assert float(count_of(tmp_path, alert, broken)) == 1
    assert float(count_of(tmp_path, alert, healthy)) == 0
