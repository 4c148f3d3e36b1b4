"""What kube-proxy counts. Upstream: pkg/proxy/metrics/metrics.go."""

from datetime import datetime

from tiphys.lib.metrics import Counter, Histogram, gauge
from tiphys.lib.prometheus_text import Family


class ProxyMetrics:
    def __init__(self) -> None:
        self._durations = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "[ALPHA] SyncProxyRules latency in seconds",
        )
        self._failures = Counter(
            "kubeproxy_sync_proxy_rules_failures_total",
            "Cumulative proxy rules that could not be written",
        )
        self._last = 0.0

    def synced(self, seconds: float, now: datetime) -> None:
        self._durations.observe(seconds)
        self._last = now.timestamp()

    def failed(self) -> None:
        self._failures.add()

    def families(self) -> list[Family]:
        return [
            self._durations.family(),
            self._failures.family(),
            gauge(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "[ALPHA] The last time proxy rules were successfully synced",
                self._last,
            ),
        ]
