"""The containers of a profile's running nodes, as the nodes' runtimes and /proc tell."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tiphys.cli.output import CommandError
from tiphys.cluster import node_network
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.profile import Node, Profile
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError
from tiphys.lib.netlink import netns
from tiphys.runtime import isolation
from tiphys.runtime.cgroups.interface import detect

LABELS: Final = "io.kubernetes."  # Upstream: pkg/kubelet/types/labels.go
_KINDS: Final = {0x04000000: "uts", 0x40000000: "net", 0x00020000: "mnt"}


@dataclass(frozen=True)
class Observed:
    """One container; `isolation` is None when it does not run."""

    id: str
    name: str
    pod: str
    namespace: str
    node: str
    image: str
    state: str
    isolation: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        about = {key: value for key, value in vars(self).items() if key != "isolation"}
        return about | (self.isolation or {})


def observe(name: str) -> list[Observed]:
    """Raises: CommandError, ProfileError."""
    if os.geteuid() != 0:
        raise CommandError(
            "namespaces of others are seen by root only", fix="sudo", reason="NOT_ROOT"
        )
    profile = existing(name)
    return asyncio.run(_all(profile))


async def _all(profile: Profile) -> list[Observed]:
    found: list[Observed] = []
    for node in profile.running_nodes:
        if netns.is_alive(node_network.network_namespace(profile, node)):
            found += await _of_node(profile, node)
    return sorted(found, key=lambda one: (one.namespace, one.pod, one.name))


async def _of_node(profile: Profile, node: Node) -> list[Observed]:
    client = CriClient(str(profile.node_run_directory(node) / "runtime.sock"))
    try:
        listed = (await client.call("ListContainers", {})).get("containers") or []
        return [await _one(client, profile, node, row) for row in listed]
    except CriError as exc:
        raise CommandError(
            f"the runtime of node {node.name} does not answer: {exc.message}",
            fix=f"tiphys status -p {profile.name}",
            reason="RUNTIME_UNREACHABLE",
        ) from exc
    finally:
        client.close()


async def _one(client: CriClient, profile: Profile, node: Node, row: Mapping[str, Any]) -> Observed:
    labels = row.get("labels") or {}
    return Observed(
        id=row["id"],
        name=(row.get("metadata") or {}).get("name", ""),
        pod=labels.get(f"{LABELS}pod.name", ""),
        namespace=labels.get(f"{LABELS}pod.namespace", ""),
        node=node.name,
        image=(row.get("image") or {}).get("image", ""),
        state=str(row.get("state", "CONTAINER_CREATED")).removeprefix("CONTAINER_").lower(),
        isolation=await _isolation(client, profile, node, row),
    )


async def _isolation(
    client: CriClient, profile: Profile, node: Node, row: Mapping[str, Any]
) -> dict[str, Any] | None:
    asked = {"container_id": row["id"], "verbose": True}
    pid = int(((await client.call("ContainerStatus", asked)).get("info") or {}).get("pid", 0))
    if not pid:
        return None
    asked = {"pod_sandbox_id": row["pod_sandbox_id"], "verbose": True}
    info = (await client.call("PodSandboxStatus", asked)).get("info") or {}
    try:
        found = isolation.facts(pid)
        pod = isolation.namespaces(f"/proc/{info.get('pid', 0)}")
        machine = isolation.namespaces("/proc/self")
    except OSError:
        return None  # It has ended while we looked.
    shared = isolation.sharing(found.namespaces, pod, _node_namespaces(profile, node), machine)
    # Controllers without a group of the container's leave it at the root, which has no limits.
    own = next((path for path in found.cgroups.values() if path != "/"), "/")
    limits = isolation.limits(detect().directories(own.strip("/")))
    return isolation.describe(found, shared, limits, os.uname().release)


def _node_namespaces(profile: Profile, node: Node) -> dict[str, int]:
    paths = node_network.namespaces(profile, node)
    return {_KINDS[kind]: os.stat(path).st_ino for path, kind in paths}
