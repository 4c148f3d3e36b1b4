"""Where components show their metrics: upstream's ports."""

from typing import Final

CONTROLLERS_PORT: Final = 10257  # pkg/cluster/ports KubeControllerManagerPort
SCHEDULER_PORT: Final = 10259  # kube-scheduler's
CLOUD_PORT: Final = 10258  # k8s.io/cloud-provider CloudControllerManagerPort
PROXY_PORT: Final = 10249  # ProxyStatusPort
DNS_PORT: Final = 9153  # CoreDNS, plugin prometheus
RUNTIME_PORT: Final = 1338  # containerd's documentation of [metrics]
