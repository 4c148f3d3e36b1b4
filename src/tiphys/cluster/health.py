"""Whether a profile works, asked of the cluster itself and not only of the list of processes.

Source: minikube cmd/minikube/cmd/status.go for the parts, their words and the exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tiphys.cluster import pausing
from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Profile

RUNNING: Final = "Running"
STOPPED: Final = "Stopped"
PAUSED: Final = "Paused"  # By `tiphys pause`; it is not asked, for it would not answer.
ERROR: Final = "Error"  # Its process lives, but it does not do its work.
CONFIGURED: Final = "Configured"
MISCONFIGURED: Final = "Misconfigured"
IRRELEVANT: Final = "Irrelevant"  # Started with --keep-context.

_HOST_BIT, _CLUSTER_BIT, _KUBECONFIG_BIT = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Health:
    """kubelets: by node name."""

    host: str
    api_server: str
    kubeconfig: str
    kubelets: dict[str, str] = field(default_factory=dict)


def exit_code(health: Health) -> int:
    """0, or the sum of 1: nothing supervises, 2: API server or kubelet, 4: kubeconfig."""
    code = 0
    if health.host != RUNNING:
        code |= _HOST_BIT
    if any(state != RUNNING for state in (health.api_server, *health.kubelets.values())):
        code |= _CLUSTER_BIT
    if health.kubeconfig not in (CONFIGURED, IRRELEVANT):
        code |= _KUBECONFIG_BIT
    return code


def state(*, alive: bool, works: bool) -> str:
    """Of one part: whether its process lives, and whether it was seen to do its work."""
    if not alive:
        return STOPPED
    return RUNNING if works else ERROR


def observe(profile: Profile, known: Sequence[Process]) -> Health:
    """Ask the API server whether it is ready, and it whether the nodes are."""
    from tiphys.client.kubeconfig import KubeconfigError
    from tiphys.cluster.readiness import Probe, is_ready

    alive = {(p.component, p.node) for p in known if p.is_alive}
    probe = None
    has_server = profile.is_joined or any(component == "apiserver" for component, _ in alive)
    paused = {(p.component, p.node) for p in known if p.is_alive and pausing.is_paused(p)}
    is_paused = pausing.is_control_plane_paused(known)
    if has_server and not is_paused:
        try:
            probe = Probe(profile, datetime.min.replace(tzinfo=UTC))
        except (OSError, KubeconfigError):
            probe = None  # Without its certificates nobody can ask, and it cannot serve long.
    serves = probe is not None and probe.api_is_ready()
    kubelets = {}
    for node in profile.nodes:
        found = probe.get(f"/api/v1/nodes/{node.name}") if probe and serves else None
        kubelets[node.name] = state(
            alive=("kubelet", node.name) in alive, works=found is not None and is_ready(found)
        )
        if ("kubelet", node.name) in paused:
            kubelets[node.name] = PAUSED
    return Health(
        host=state(alive=("supervisor", "") in alive, works=True),
        api_server=PAUSED if is_paused else state(alive=has_server, works=serves),
        kubeconfig=_kubeconfig(profile),
        kubelets=kubelets,
    )


def _kubeconfig(profile: Profile) -> str:
    """Whether every file that should have the profile's context leads to its server."""
    from tiphys.client import kubeconfig

    if not profile.context_files:
        return IRRELEVANT
    for path in profile.context_files:
        try:
            found = kubeconfig.load(Path(path), profile.name).server
        except (OSError, kubeconfig.KubeconfigError):
            return MISCONFIGURED
        if found != profile.server:
            return MISCONFIGURED
    return CONFIGURED
