"""/metrics of the kubelet itself. Upstream: pkg/kubelet/metrics/metrics.go."""

from tiphys.kubelet.deps import Deps
from tiphys.kubelet.pods import Pods
from tiphys.lib.metrics import process_families
from tiphys.lib.prometheus_text import Family, Sample


def families(deps: Deps, pods: Pods) -> list[Family]:
    known = [deps.cache.get(uid) for uid in deps.cache.uids()]
    containers = [c for pod in known for c in pod.containers]
    states = {s: sum(c.state == s for c in containers) for s in ("running", "exited", "created")}
    sandboxes = sum(pod.ready_sandbox is not None for pod in known)
    return [
        Family(
            "kubelet_running_pods",
            "gauge",
            "[BETA] Number of pods that have a running pod sandbox",
            [Sample((), sandboxes)],
        ),
        Family(
            "kubelet_running_containers",
            "gauge",
            "[BETA] Number of containers currently running",
            [Sample((("container_state", state),), count) for state, count in states.items()],
        ),
        Family(
            "kubelet_desired_pods",
            "gauge",
            "[ALPHA] The number of pods the kubelet is being instructed to run.",
            [Sample((("static", ""),), len(pods.active()))],
        ),
        Family(
            "kubelet_node_name",
            "gauge",
            "[ALPHA] The node's name. The count is always 1.",
            [Sample((("node", deps.config.node_name),), 1)],
        ),
        deps.cri.operations.family(),
        deps.cri.errors.family(),
        deps.client.requests.family(),
        *process_families(),
    ]
