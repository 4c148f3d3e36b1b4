"""The policy agent: watches NetworkPolicies and keeps the node's table as they ask.

Pods and namespaces are watched from the first policy on: a cluster without any pays for one watch.
What was written stays when the agent ends. Works in the node's network namespace.
Upstream's place for this is the cluster network add-on (kube-network-policies, Calico).
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, at, labels_of, name_of, namespace_of
from tiphys.client.informer import Informer, all_synced
from tiphys.client.rest import Client
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.policy.config import PolicyConfig
from tiphys.policy.nftables import NftablesWriter
from tiphys.policy.plan import address_of, plan

log = logging.getLogger(__name__)

POLICIES: Final = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
PODS: Final = GroupVersionResource("", "v1", "pods")
NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
RETRY_SECONDS: Final = 1.0


async def run(config: PolicyConfig, client: Client) -> None:
    """Work until cancelled."""
    await PolicyAgent(config, client).run()


class PolicyAgent:
    def __init__(self, config: PolicyConfig, client: Client) -> None:
        self._node = config.node_name
        self._policies = Informer(client, POLICIES)
        self._pods = Informer(client, PODS)
        self._namespaces = Informer(client, NAMESPACES, metadata_only=True)
        self._writer = NftablesWriter()
        self._changed = asyncio.Event()
        self._is_watching = False

    async def run(self) -> None:
        tasks = TaskSet()
        self._follow(tasks, self._policies)
        try:
            await self._policies.synced()
            while True:
                self._changed.clear()
                if len(self._policies) and not self._is_watching:
                    self._is_watching = True
                    others = [self._namespaces, self._pods]
                    for informer in others:
                        self._follow(tasks, informer)
                    await all_synced(others)
                if self._sync():
                    await self._changed.wait()
                else:
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            await tasks.close()

    def _follow(self, tasks: TaskSet, informer: Informer) -> None:
        informer.on_change(self._note)
        name = f"informer {informer.gvr.resource}"
        tasks.start(keep_running(name, informer.run), name)

    def _note(self, old: Obj | None, new: Obj | None) -> None:
        if shape(old) != shape(new):
            self._changed.set()

    def _sync(self) -> bool:
        """Whether the kernel holds now what it should."""
        labels = {name_of(n): labels_of(n) for n in self._namespaces.items()}
        wanted = plan(self._policies.items(), self._pods.items(), labels, self._node)
        try:
            is_new = self._writer.write(wanted)
        except OSError as exc:
            log.error("policies not written, trying again", extra={"why": str(exc)})
            return False
        if is_new:
            isolated = {"ingress": len(wanted.ingress), "egress": len(wanted.egress)}
            log.info("policies written", extra=isolated)
        return True


def shape(obj: Obj | None) -> Sequence[object]:
    """All of a policy, a namespace or a pod that a plan depends on."""
    if obj is None:
        return ()
    spec = obj.get("spec") or {}
    if "containers" in spec:
        spec = [spec.get("nodeName"), [c.get("ports") for c in spec["containers"]]]
    return (namespace_of(obj), name_of(obj), labels_of(obj), spec, address_of(obj), _uid(obj))


def _uid(obj: Obj) -> object:
    return at(obj, "metadata", "uid")
