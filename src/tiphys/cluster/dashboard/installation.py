"""Puts the dashboard into a cluster, says whether it is there, takes it out. All safe to repeat."""

import os
import time
from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.cli.kubectl.client import KubeClient
from tiphys.cli.output import CommandError
from tiphys.cluster import addon_objects
from tiphys.cluster.dashboard import bundle, manifests
from tiphys.cluster.profile import MASTER, Profile, Roots

READY_SECONDS_MAX: Final = 60.0  # An image on the machine and one container: a second or two.
POLL_SECONDS: Final = 0.1


def enable(kube: KubeClient, profile: Profile) -> None:
    """Build the image and apply the objects. Raises CommandError, ApiError.

    It runs on this machine's nodes: those of machines that joined have a registry of their own.
    """
    nodes = [node.name for node in profile.running_nodes if node.role != MASTER]
    if not nodes:
        fix = f"add one: tiphys node add -p {profile.name}"
        raise CommandError(
            "there is no node here on which the dashboard could run",
            fix=fix,
            reason="ADDON_NOT_READY",
        )
    from tiphys.runtime.images.bundled import BUSYBOX

    try:
        image = bundle.build(registry(), bundle.pages(), BUSYBOX)
    except bundle.NotBuilt as exc:
        fix = "install Node.js with npm, then: make dashboard (a release's wheel has the pages)"
        raise CommandError(
            "this tiphys was built without the dashboard", fix=fix, reason="ADDON_NOT_BUILT"
        ) from exc
    except OSError as exc:
        raise CommandError(
            f"cannot make the dashboard's image: {exc}", reason="ADDON_NOT_BUILT"
        ) from exc
    _wait_until_gone(kube)
    for path, obj in manifests.manifests(image, nodes):
        addon_objects.put(kube, path, obj)


def disable(kube: KubeClient) -> None:
    """Delete its namespace and wait until all in it is gone. Raises CommandError, ApiError."""
    if addon_objects.get(kube, manifests.SPACE) is not None:
        kube.request("DELETE", manifests.SPACE)
        _wait_until_gone(kube)


def is_enabled(kube: KubeClient) -> bool:
    """Raises ApiError."""
    return addon_objects.get(kube, manifests.DEPLOYMENT) is not None


def _wait_until_gone(kube: KubeClient) -> None:
    """While the namespace is being deleted nothing can be made in it. Raises CommandError."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while (found := addon_objects.get(kube, manifests.SPACE)) and "deletionTimestamp" in found[
        "metadata"
    ]:
        if time.monotonic() > deadline:
            raise CommandError(
                f"namespace {manifests.NAMESPACE} is being deleted for {READY_SECONDS_MAX:g} s",
                fix=f"look: tiphys kubectl get namespace {manifests.NAMESPACE} -o yaml",
                reason="ADDON_NOT_READY",
            )
        time.sleep(POLL_SECONDS)


def wait_until_ready(kube: KubeClient) -> None:
    """Raises CommandError with what keeps it from being ready, ApiError."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not _is_ready(kube.request("GET", manifests.DEPLOYMENT)):
        if time.monotonic() > deadline:
            raise CommandError(
                f"the dashboard is not ready after {READY_SECONDS_MAX:g} s: {_why(kube)}",
                fix=f"look: tiphys kubectl get pods,events -n {manifests.NAMESPACE}",
                reason="ADDON_NOT_READY",
            )
        time.sleep(POLL_SECONDS)


def registry() -> Any:
    """The storage of the embedded registry."""
    from tiphys.runtime.images.registry_storage import RegistryStorage

    # Beside the profiles, which share it: node_components.registry_config.
    return RegistryStorage(str(Roots.from_environment(os.environ).state / ".cache" / "registry"))


def _is_ready(deployment: Obj) -> bool:
    """All replicas are of the newest template: an old one would serve the old pages."""
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = {status.get(f, 0) for f in ("replicas", "updatedReplicas", "availableReplicas")}
    return bool(seen and counts == {deployment["spec"]["replicas"]} and counts != {0})


def _why(kube: KubeClient) -> str:
    reasons = []
    for pod in kube.request("GET", manifests.PODS).get("items") or []:
        for state in at(pod, "status", "containerStatuses", default=[]):
            waiting = at(state, "state", "waiting", default={})
            reasons.append(f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip())
        conditions = at(pod, "status", "conditions", default=[])
        reasons += [c.get("message", "") for c in conditions if c.get("status") != "True"]
    return "; ".join(r for r in reasons if r) or "there is no pod of it"
