"""The whole status of a pod.

Upstream: pkg/kubelet/kubelet_pods.go (generateAPIPodStatus), status_manager.go.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, at, metadata, rfc3339
from tiphys.kubelet.conditions import pod_conditions
from tiphys.kubelet.container_status import Observed, container_statuses
from tiphys.kubelet.pod_phase import is_terminal, pod_phase
from tiphys.kubelet.pod_spec import (
    containers_of,
    is_host_network,
    pod_limits,
    pod_requests,
    qos_class,
)
from tiphys.kubelet.sync_plan import has_initialized

MESSAGES_BYTES_MAX: Final = 12 * 1024  # container.go MaxPodTerminationMessageLogLength


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the kubelet itself ended the pod: DeadlineExceeded, Evicted, OutOfcpu ..."""

    reason: str
    message: str


def pod_status(
    pod: Obj,
    observed: Observed,
    *,
    before: Obj,
    host_ips: tuple[str, ...],
    now: datetime,
    ended: bool = False,
    verdict: Verdict | None = None,
) -> Obj:
    """`before` is the status this kubelet reported last, or the API's after a start."""
    init = container_statuses(pod, "init", before, observed)
    mains = container_statuses(pod, "main", before, observed)
    phase = pod_phase(
        pod, [*init, *mains], ended=ended, initialized=has_initialized(pod, observed.runtime)
    )
    old_phase = str(before.get("phase") or "")
    api_phase = str(at(pod, "status", "phase", default=""))
    if not is_terminal(phase):
        # A pod never comes back from a terminal phase.
        phase = next((p for p in (old_phase, api_phase) if is_terminal(p)), phase)
    status: Obj = {"phase": phase}
    if verdict is not None:
        status |= {"phase": "Failed", "reason": verdict.reason, "message": verdict.message}
    elif phase == old_phase:
        status |= {k: before[k] for k in ("reason", "message") if before.get(k)}
    sandbox = observed.runtime.ready_sandbox
    has_network = sandbox is not None and (bool(sandbox.ips) or is_host_network(pod))
    status["conditions"] = pod_conditions(
        pod, status["phase"], init, mains, sandbox_ready=has_network, now=now
    )
    status |= _addresses(pod, observed, before, host_ips)
    status["startTime"] = before.get("startTime") or rfc3339(now)
    status["qosClass"] = at(pod, "status", "qosClass") or qos_class(pod)
    if generation := metadata(pod).get("generation"):
        status["observedGeneration"] = generation
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = mains
    if containers_of(pod, "ephemeral"):
        status["ephemeralContainerStatuses"] = container_statuses(
            pod, "ephemeral", before, observed
        )
    status |= _pod_resources(pod)
    return _with_messages_cut(status)


def _pod_resources(pod: Obj) -> Obj:
    requests, limits = pod_requests(pod), pod_limits(pod)
    found: Obj = {}
    if requests:
        found["allocatedResources"] = requests
    resources = ({"limits": limits} if limits else {}) | (
        {"requests": requests} if requests else {}
    )
    if resources:
        found["resources"] = resources
    return found


def _addresses(pod: Obj, observed: Observed, before: Obj, host_ips: tuple[str, ...]) -> Obj:
    ips = list(observed.runtime.ips)
    if is_host_network(pod):
        ips = [before["podIP"]] if before.get("podIP") else list(host_ips)
    if not ips and observed.runtime.ready_sandbox is None:
        # What the pod had is kept after its end, as upstream does.
        ips = [entry["ip"] for entry in before.get("podIPs") or []]
    found: Obj = {}
    if host_ips:
        found |= {"hostIP": host_ips[0], "hostIPs": [{"ip": ip} for ip in host_ips]}
    if ips:
        found |= {"podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]}
    return found


def rejected_status(pod: Obj, verdict: Verdict, now: datetime) -> Obj:
    """Of a pod that this node does not take. Upstream: kubelet.go rejectPod."""
    status: Obj = {
        "phase": "Failed",
        "reason": verdict.reason,
        "message": f"Pod was rejected: {verdict.message}",
        "startTime": rfc3339(now),
        "qosClass": at(pod, "status", "qosClass") or qos_class(pod),
    }
    if generation := metadata(pod).get("generation"):
        status["observedGeneration"] = generation
    return status


def _with_messages_cut(status: Obj) -> Obj:
    names = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    lists = {name: status[name] for name in names if name in status}
    count = sum(map(len, lists.values()))
    if not count:
        return status
    most = MESSAGES_BYTES_MAX // count
    return status | {name: [_cut(s, most) for s in entries] for name, entries in lists.items()}


def _cut(status: Obj, most: int) -> Obj:
    result = status
    for name in ("state", "lastState"):
        message = at(status, name, "terminated", "message", default="")
        if len(message) > most:
            ended = status[name]["terminated"] | {"message": message[:most]}
            result = result | {name: {"terminated": ended}}
    return result
