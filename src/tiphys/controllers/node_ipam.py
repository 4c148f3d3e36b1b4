"""Node IPAM: every node gets a range of pod addresses.

Upstream: pkg/controller/nodeipam/ipam/range_allocator.go, cidrset.
Reads Node. Writes Node.spec.podCIDR(s), which never change again.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network

from tiphys.api.meta import Obj, ObjectKey, at, name_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import NODES


def choose(cluster: str, mask_size: int, taken: Iterable[str]) -> str | None:
    """The first free range; None when all are given out."""
    used = {IPv4Network(t) for t in taken}
    for network in IPv4Network(cluster).subnets(new_prefix=mask_size):
        if not any(network.overlaps(u) for u in used):
            return str(network)
    return None


class NodeIpamController(KeyedController):
    name = "cidrAllocator"
    workers = 1  # Two at once could give the same range to two nodes.

    def __init__(self, context: Context, cluster_cidr: str, mask_size: int) -> None:
        super().__init__()
        self._client = context.client_for("node-controller")
        self._recorder = context.recorder(self.name)
        self._cluster_cidr = cluster_cidr
        self._mask_size = mask_size
        self._nodes = context.informers.of(NODES)
        self._given: dict[str, str] = {}
        self._nodes.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            self._given.pop(name_of(old), None)
        elif not at(new, "spec", "podCIDR"):
            self.queue.add(ObjectKey("", name_of(new)))
        else:
            self._given[name_of(new)] = new["spec"]["podCIDR"]

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self._nodes.get(key)
        if node is None or at(node, "spec", "podCIDR"):
            return None
        chosen = self._given.get(key.name) or choose(
            self._cluster_cidr, self._mask_size, self._given.values()
        )
        if chosen is None:
            text = f"Node {key.name} status is now: CIDRNotAvailable"
            self._recorder.event(_reference(node), "Normal", "CIDRNotAvailable", text)
            return 30.0
        self._given[key.name] = chosen
        patch = {"spec": {"podCIDR": chosen, "podCIDRs": [chosen]}}
        await self._client.patch(NODES, key.name, patch)
        return None


def _reference(node: Obj) -> Obj:
    """Events about nodes carry the name as uid, as kubelets write them."""
    return {"kind": "Node", "name": name_of(node), "uid": name_of(node), "apiVersion": "v1"}
