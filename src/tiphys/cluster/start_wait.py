"""`--wait`: which parts of a cluster a start waits for. Words: minikube's `--wait`.

apiserver     /readyz; waited for always: what the cluster has beside itself is made through it
default_sa    the default ServiceAccount and kube-root-ca.crt
node_ready    every node is Ready and its kubelet has spoken since
kubelet       the same: a node is Ready by its kubelet's word alone
system_pods   every pod of kube-system is ready, and the DNS server answers
apps_running  as system_pods: here DNS and proxy are processes of the node
"""

import time
from collections.abc import Callable

from tiphys.api.meta import Obj, condition, labels_of
from tiphys.cli.output import CommandError, Steps
from tiphys.cluster import addons, failure_cause, processes, readiness
from tiphys.cluster.profile import Profile


def wait(
    profile: Profile,
    probe: readiness.Probe,
    wanted: frozenset[str],
    seconds: float,
    steps: Steps,
    alive: Callable[[], bool],
    served: Callable[[], None] = lambda: None,
) -> None:
    """served is called when the API server answers: its addresses are then really taken.

    Raises CommandError when a part is not ready in time, or the supervisor has died.
    """
    deadline = time.monotonic() + seconds
    before = {process.title: process.restarts for process in processes.recorded(profile)}

    def goes_on() -> bool:
        """Whether waiting is of use."""
        return alive() and not failure_cause.failing(processes.recorded(profile), before)

    def until(what: str, ready: Callable[[], bool]) -> None:
        readiness.wait(what, ready, max(deadline - time.monotonic(), 0.1), goes_on)
        steps.say(what)

    try:
        until("API server ready", probe.api_is_ready)
        served()
        for path, obj in [] if profile.is_joined else addons.manifests(profile):
            found = probe.get(f"{path}/{obj['metadata']['name']}")
            if path == addons.NODES and not is_marked(found):
                probe.apply(path, obj)
            elif found is None:
                probe.create(path, obj)
        if "default_sa" in wanted and not profile.is_joined:
            until("default ServiceAccount and kube-root-ca.crt there", probe.basics_are_there)
        if wanted & {"node_ready", "kubelet"} and profile.nodes:
            until("node ready", probe.nodes_are_ready)
        if wanted & {"system_pods", "apps_running"} and profile.nodes:
            until("DNS answers", probe.dns_answers)
        if wanted & {"system_pods", "apps_running"} and not profile.is_joined:
            readiness.wait(
                "pods of kube-system ready",
                lambda: system_pods_are_ready(probe.get("/api/v1/namespaces/kube-system/pods")),
                max(deadline - time.monotonic(), 0.1),
                goes_on,
            )
    except readiness.NotReady as exc:
        cause = failure_cause.of(profile, processes.recorded(profile))
        raise CommandError(
            f"{exc}; {cause}" if cause else str(exc),
            fix=f"look into the logs: tiphys logs -p {profile.name}; if its files are damaged,"
            f" `tiphys delete -p {profile.name}` starts over",
            reason="CLUSTER_NOT_READY",
        ) from exc


def is_marked(node: Obj | None) -> bool:
    """Whether a node is there and has its role; its taint is then the user's. Pure."""
    return node is not None and addons.MASTER_LABEL in labels_of(node)


def system_pods_are_ready(listed: Obj | None) -> bool:
    """Every pod that is to go on running; None where the list could not be had. Pure."""
    if listed is None:
        return False
    return all(
        (condition(pod, "Ready") or {}).get("status") == "True"
        for pod in listed.get("items") or []
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )
