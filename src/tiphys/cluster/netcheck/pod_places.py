"""The network namespaces of pods, as the nodes' runtimes know them. Thin shell."""

import asyncio
from pathlib import Path

from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.profile import Node
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError

PodKey = tuple[str, str]
"""Namespace and name."""


def pod_places(scene: Scene, only: frozenset[PodKey] | None = None) -> dict[PodKey, Place]:
    """Of running pods on this machine. Raises PlaceError when a runtime does not answer."""
    found: dict[PodKey, Place] = {}
    for node, place in scene.nodes:
        found |= asyncio.run(_of_node(scene, node, place, only))
    return found


async def _of_node(
    scene: Scene, node: Node, place: Place, only: frozenset[PodKey] | None
) -> dict[PodKey, Place]:
    client = CriClient(str(scene.profile.node_run_directory(node) / "runtime.sock"))
    found: dict[PodKey, Place] = {}
    try:
        ready = {"filter": {"state": {"state": "SANDBOX_READY"}}}
        for row in (await client.call("ListPodSandbox", ready)).get("items") or []:
            named = row["metadata"]
            key = (named.get("namespace", ""), named["name"])
            if only is not None and key not in only:
                continue
            asked = {"pod_sandbox_id": row["id"], "verbose": True}
            told = await client.call("PodSandboxStatus", asked)
            network = (told.get("status") or {}).get("network") or {}
            path = (told.get("info") or {}).get("netns", "")
            name = f"pod {key[0]}/{key[1]}"
            if path and network.get("ip"):
                found[key] = Place(name, Path(path), network["ip"])
            else:
                found[key] = Place(name, place.namespace, place.address)
    except (CriError, OSError) as exc:
        raise PlaceError(f"the runtime of node {node.name} does not answer: {exc}") from exc
    finally:
        client.close()
    return found
