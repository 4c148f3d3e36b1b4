"""Cloud node controller: what the cloud knows of a machine is written to its Node.

A kubelet with an external cloud registers with a taint; it is taken off when the Node is complete.
Upstream: k8s.io/cloud-provider/controllers/node/node_controller.go.
Reads Node. Writes Node (labels, spec.providerID, taints), Node/status (addresses).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, annotations_of, at, key_of, labels_of, name_of
from tiphys.client.controller import Context, KeyedController
from tiphys.cloud.kinds import NODES
from tiphys.cloud.provider import InstanceMetadata, Instances, ProviderError

UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
PROVIDED_IP: Final = "alpha.kubernetes.io/provided-node-ip"
REFRESH_SECONDS: Final = 300.0  # --node-status-update-frequency
RETRY_SECONDS: Final = 5.0
# What each fact is called among a Node's labels, the old name too.
TYPE_LABELS: Final = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
ZONE_LABELS: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
REGION_LABELS: Final = (
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/region",
)

Addresses = Sequence[Mapping[str, str]]


def is_uninitialized(node: Obj) -> bool:
    return any(t.get("key") == UNINITIALIZED for t in at(node, "spec", "taints", default=[]))


def initialized(node: Obj, known: InstanceMetadata) -> Obj:
    """The merge patch of a Node that the cloud has been asked about; {} for nothing to change."""
    patch: Obj = {}
    labels = {k: v for k, v in wanted_labels(known).items() if labels_of(node).get(k) != v}
    if labels:
        patch["metadata"] = {"labels": labels}
    spec: Obj = {}
    if known.provider_id and not at(node, "spec", "providerID"):
        spec["providerID"] = known.provider_id
    if is_uninitialized(node):
        spec["taints"] = [t for t in node["spec"]["taints"] if t["key"] != UNINITIALIZED]
    if spec:
        patch["spec"] = spec
    return patch


def wanted_labels(known: InstanceMetadata) -> dict[str, str]:
    facts = (
        (TYPE_LABELS, known.instance_type),
        (ZONE_LABELS, known.zone),
        (REGION_LABELS, known.region),
    )
    return {name: value for names, value in facts if value for name in names}


def wanted_addresses(node: Obj, known: Addresses) -> list[Obj]:
    """The cloud's addresses; the one that the kubelet was given comes first of its type.

    Raises ProviderError when the cloud does not know that one.
    Upstream: cloud-provider node/helpers/address.go.
    """
    have: Addresses = at(node, "status", "addresses", default=[])
    found = [dict(a) for a in known]
    if found and not any(a["type"] == "Hostname" for a in found):
        found += [dict(a) for a in have if a["type"] == "Hostname"]
    provided = annotations_of(node).get(PROVIDED_IP, "")
    if not provided:
        return found
    types = {a["type"] for a in found if a["address"] == provided}
    if not types:
        text = f"failed to get node address from cloud provider that matches ip: {provided}"
        raise ProviderError(text)
    chosen = [a for a in found if a["address"] == provided]
    return chosen + [a for a in found if a["type"] not in types]


class CloudNodeController(KeyedController):
    name = "cloud-node-controller"

    def __init__(self, context: Context, instances: Instances) -> None:
        super().__init__()
        self._client = context.client_for("node-controller")
        self._recorder = context.recorder(self.name)
        self._instances = instances
        self._nodes = context.informers.of(NODES)
        self._nodes.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and (old is None or is_uninitialized(new)):
            self.queue.add(key_of(new))

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self._nodes.get(key)
        if node is None:
            return None
        try:
            known = await self._instances.metadata(node)
            addresses = wanted_addresses(node, known.addresses)
            await self._write(node, known, addresses)
        except NotFound:
            return None
        except ProviderError as exc:
            text = f"The cloud provider does not tell of the node: {exc}"
            self._recorder.event(node, "Warning", "CloudProviderError", text)
            return RETRY_SECONDS
        return REFRESH_SECONDS

    async def _write(self, node: Obj, known: InstanceMetadata, addresses: list[Obj]) -> None:
        """Addresses first: with the taint goes the last reason to wait for them."""
        name = name_of(node)
        if addresses and addresses != at(node, "status", "addresses", default=[]):
            status = {"status": {"addresses": addresses}}
            await self._client.patch(NODES, name, status, "", "status", kind="merge")
        patch = initialized(node, known)
        if not patch:
            return
        await self._client.patch(NODES, name, patch, kind="merge")
        if is_uninitialized(node):
            self._recorder.event(node, "Normal", "Synced", "Node synced successfully")
