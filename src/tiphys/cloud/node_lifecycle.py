"""Cloud node lifecycle: a Node goes with its machine; one that was shut down is tainted.

Upstream: k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go.
Reads Node. Writes Node.spec.taints, deletes Node.
"""

import logging
from enum import Enum
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, condition, metadata, name_of
from tiphys.client.controller import Context
from tiphys.cloud.kinds import NODES
from tiphys.cloud.provider import Instances, ProviderError

log = logging.getLogger(__name__)

MONITOR_SECONDS: Final = 5.0  # --node-monitor-period
SHUTDOWN: Final = "node.cloudprovider.kubernetes.io/shutdown"


class Fate(Enum):
    """What becomes of a Node."""

    NOTHING = "nothing"
    WORKS_AGAIN = "the taint goes"
    SHUT_DOWN = "the taint comes"
    GONE = "the Node goes"


def is_ready(node: Obj) -> bool:
    return (condition(node, "Ready") or {}).get("status") == "True"


def is_marked(node: Obj) -> bool:
    return any(t.get("key") == SHUTDOWN for t in at(node, "spec", "taints", default=[]))


def fate(node: Obj, *, exists: bool, shut_down: bool) -> Fate:
    """A node that is Ready lives, whatever the cloud says."""
    if is_ready(node):
        return Fate.WORKS_AGAIN if is_marked(node) else Fate.NOTHING
    if not exists:
        return Fate.GONE
    return Fate.SHUT_DOWN if shut_down and not is_marked(node) else Fate.NOTHING


def taints_patch(node: Obj, *, shut_down: bool) -> Obj:
    """resourceVersion: somebody else's taints are not lost."""
    taints = [t for t in at(node, "spec", "taints", default=[]) if t.get("key") != SHUTDOWN]
    if shut_down:
        taints.append({"key": SHUTDOWN, "effect": "NoSchedule"})
    version = metadata(node).get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "spec": {"taints": taints}}


class CloudNodeLifecycleController:
    name = "cloud-node-lifecycle-controller"

    def __init__(self, context: Context, instances: Instances) -> None:
        self._client = context.client_for("node-controller")
        self._recorder = context.recorder(self.name)
        self._clock = context.clock
        self._instances = instances
        self._nodes = context.informers.of(NODES)

    async def run(self) -> None:
        while True:
            for node in self._nodes.items():
                try:
                    await self._look(node)
                except (ApiError, ProviderError) as exc:
                    why = {"node": name_of(node), "why": str(exc)}
                    log.warning("a node's machine was not looked at", extra=why)
            await self._clock.sleep(MONITOR_SECONDS)

    async def _look(self, node: Obj) -> None:
        exists, shut_down = True, False
        if not is_ready(node):
            exists = await self._instances.exists(node)
            shut_down = exists and await self._instances.is_shut_down(node)
        await self._apply(node, fate(node, exists=exists, shut_down=shut_down))

    async def _apply(self, node: Obj, what: Fate) -> None:
        if what is Fate.GONE:
            text = f"Deleting node {name_of(node)} because it does not exist in the cloud provider"
            self._recorder.event(node, "Normal", "DeletingNode", text)
            try:
                await self._client.delete(NODES, name_of(node))
            except NotFound:
                return
        elif what is not Fate.NOTHING:
            patch = taints_patch(node, shut_down=what is Fate.SHUT_DOWN)
            await self._client.patch(NODES, name_of(node), patch, kind="merge")
