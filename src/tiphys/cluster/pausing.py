"""Pausing a cluster: containers are frozen by the kernel, components are stopped like a job (^Z).

As minikube: kube-system is the control plane too. There its parts are containers, here they are
processes; both get no time until they are let go on, and lose nothing. The runtime is never paused:
it knows which container is whose.
"""

import os
import signal
from collections.abc import Iterable, Sequence
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster import node_network, processes
from tiphys.cluster.processes import Process
from tiphys.cluster.profile import Node, Profile
from tiphys.runtime.cgroups.freezer import Freezer

# Upstream: minikube pkg/minikube/constants DefaultNamespaces, less what we do not have.
DEFAULT_NAMESPACES: Final = ("kube-system", "kubernetes-dashboard")
CONTROL_PLANE: Final = "kube-system"
_NEVER: Final = ("supervisor", "zygote", "runtime", "etcd")
_NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"  # pkg/kubelet/types/labels.go


def pause(profile: Profile, namespaces: Sequence[str]) -> int:
    """How many containers are frozen now; no namespaces: all. Raises CommandError."""
    # Kubelets first: one that goes on would restart what does not answer its probes.
    if _has_control_plane(namespaces):
        _signal(_parts(profile, kubelets=True), signal.SIGSTOP)
    found = _containers(profile, namespaces)
    freezer = Freezer()
    try:
        for pid in found:
            freezer.freeze(freezer.path_of(pid))
    except (OSError, TimeoutError) as exc:
        unpause(profile, namespaces)
        raise CommandError(
            f"a container cannot be frozen: {exc}", reason="CLUSTER_FREEZER"
        ) from exc
    if _has_control_plane(namespaces):
        _signal(_parts(profile, kubelets=False), signal.SIGSTOP)
    return len(found)


def unpause(profile: Profile, namespaces: Sequence[str]) -> int:
    """How many containers go on; no namespaces: all. Raises CommandError."""
    if _has_control_plane(namespaces):
        _signal(_parts(profile, kubelets=False), signal.SIGCONT)
    found = _containers(profile, namespaces)
    freezer = Freezer()
    thawed = 0
    for pid in found:
        try:
            path = freezer.path_of(pid)
            thawed += freezer.is_frozen(path)
            freezer.thaw(path)
        except OSError as exc:
            raise CommandError(
                f"a container cannot be thawed: {exc}", reason="CLUSTER_FREEZER"
            ) from exc
    if _has_control_plane(namespaces):
        _signal(_parts(profile, kubelets=True), signal.SIGCONT)
    return thawed


def let_go_on(profile: Profile) -> None:
    """Before a cluster is stopped: who is paused hears no request to end."""
    _signal(processes.recorded(profile), signal.SIGCONT)
    if os.geteuid() == 0 and profile.nodes:
        Freezer().thaw_below(f"tiphys/{profile.name}")


def is_paused(process: Process) -> bool:
    """Whether a component is stopped like a job. Source: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{process.identity.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"
    except (OSError, IndexError):
        return False


def is_control_plane_paused(known: Sequence[Process]) -> bool:
    """Whether all of it is: one part alone was stopped by somebody else, and hangs."""
    parts = [p for p in known if p.is_alive and p.component not in (*_NEVER, "kubelet")]
    return bool(parts) and all(is_paused(p) for p in parts)


def _has_control_plane(namespaces: Sequence[str]) -> bool:
    return not namespaces or CONTROL_PLANE in namespaces


def _parts(profile: Profile, *, kubelets: bool) -> list[Process]:
    return [
        p
        for p in processes.recorded(profile)
        if p.component not in _NEVER and (p.component == "kubelet") == kubelets
    ]


def _signal(parts: Iterable[Process], number: signal.Signals) -> None:
    for process in parts:
        if process.is_alive:
            process.identity.send(number)


def _containers(profile: Profile, namespaces: Sequence[str]) -> list[int]:
    """The first process of every container that runs. Raises CommandError."""
    if os.geteuid() != 0 or not profile.nodes:
        return []
    import asyncio

    return asyncio.run(_of_all_nodes(profile, namespaces))


async def _of_all_nodes(profile: Profile, namespaces: Sequence[str]) -> list[int]:
    found: list[int] = []
    for node in profile.running_nodes:
        if node_network.is_up(profile, node):
            found += await _of_node(profile, node, namespaces)
    return found


async def _of_node(profile: Profile, node: Node, namespaces: Sequence[str]) -> list[int]:
    from tiphys.cri.client import CriClient
    from tiphys.cri.errors import CriError

    client = CriClient(str(profile.node_run_directory(node) / "runtime.sock"))
    try:
        listed = (await client.call("ListContainers", {})).get("containers") or []
        pids = []
        for row in listed:
            if namespaces and (row.get("labels") or {}).get(_NAMESPACE_LABEL) not in namespaces:
                continue
            asked = {"container_id": row["id"], "verbose": True}
            info = (await client.call("ContainerStatus", asked)).get("info") or {}
            pids.append(int(info.get("pid", 0)))
        return [pid for pid in pids if pid]
    except CriError as exc:
        raise CommandError(
            f"the runtime of node {node.name} does not answer: {exc.message}",
            fix=f"tiphys status -p {profile.name}",
            reason="RUNTIME_UNREACHABLE",
        ) from exc
    finally:
        client.close()
