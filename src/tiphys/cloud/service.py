"""Service controller: a load balancer for every Service of type LoadBalancer.

Upstream: k8s.io/cloud-provider/controllers/service/controller.go.
Without balancing (the addon load-balancer is off) nothing new is given out: what was given stays,
and goes with its Service.
Reads Service, Node. Writes Service (finalizer), Service/status.
"""

from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    at,
    is_terminating,
    metadata,
    name_of,
    namespace_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.cloud.kinds import NODES, SERVICES
from tiphys.cloud.provider import LoadBalancers, ProviderError, address_of, takes_traffic

RETRY_SECONDS: Final = 5.0
FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"


def wants_balancer(service: Obj) -> bool:
    """Ours when no class names somebody else."""
    spec: Obj = service.get("spec") or {}
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


class ServiceController(KeyedController):
    name = "service-controller"

    def __init__(
        self, context: Context, balancers: LoadBalancers, *, balances: bool = True
    ) -> None:
        super().__init__()
        self._balances = balances
        self._client = context.client_for("service-controller")
        self._recorder = context.recorder(self.name)
        self._balancers = balancers
        self._services = context.informers.of(SERVICES)
        self._nodes = context.informers.of(NODES)
        self._services.on_change(self.enqueue)
        if balances:
            self._nodes.on_change(self._nodes_changed)

    def _nodes_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Balancers follow the nodes behind them; heartbeats are no change."""
        if _as_member(old) == _as_member(new):
            return
        for service in self._services.items():
            if wants_balancer(service):
                self.enqueue(None, service)

    async def reconcile(self, key: ObjectKey) -> float | None:
        service = self._services.get(key)
        if service is None:
            return None
        finalizers = metadata(service).get("finalizers") or []
        try:
            if wants_balancer(service) and not is_terminating(service):
                return await self._ensure(service, finalizers) if self._balances else None
            if FINALIZER in finalizers:
                await self._remove(service, finalizers)
        except NotFound:
            return None
        except ProviderError as exc:
            text = f"Error syncing load balancer: {exc}"
            self._recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)
            return RETRY_SECONDS
        return None

    async def _ensure(self, service: Obj, finalizers: list[str]) -> float | None:
        """Seconds to the next look, while the balancer has no address."""
        if FINALIZER not in finalizers:
            service = await self._put_finalizers(service, [*finalizers, FINALIZER])
        have = at(service, "status", "loadBalancer", "ingress", default=[])
        if not have:
            text = "Ensuring load balancer"
            self._recorder.event(service, "Normal", "EnsuringLoadBalancer", text)
        nodes = [n for n in self._nodes.items() if takes_traffic(n)]
        wanted = await self._balancers.ensure(service, nodes)
        if not wanted:
            return RETRY_SECONDS
        if wanted != have:
            await self._put_status(service, {"ingress": wanted})
            text = "Ensured load balancer"
            self._recorder.event(service, "Normal", "EnsuredLoadBalancer", text)
        return None

    async def _remove(self, service: Obj, finalizers: list[str]) -> None:
        text = "Deleting load balancer"
        self._recorder.event(service, "Normal", "DeletingLoadBalancer", text)
        await self._balancers.delete(service)
        if at(service, "status", "loadBalancer", "ingress") and not is_terminating(service):
            service = await self._put_status(service, {})
        await self._put_finalizers(service, [f for f in finalizers if f != FINALIZER])
        text = "Deleted load balancer"
        self._recorder.event(service, "Normal", "DeletedLoadBalancer", text)

    async def _put_status(self, service: Obj, balancer: Obj) -> Obj:
        status = {**(service.get("status") or {}), "loadBalancer": balancer}
        changed = {**service, "status": status}
        return await self._client.update(SERVICES, changed, subresource="status")

    async def _put_finalizers(self, service: Obj, finalizers: list[str]) -> Obj:
        version = metadata(service).get("resourceVersion")
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": version}}
        # Through the status, as upstream: the account may write no more of a Service than that.
        return await self._client.patch(
            SERVICES, name_of(service), patch, namespace_of(service), "status", kind="merge"
        )


def _as_member(node: Obj | None) -> str:
    """What a balancer knows of a node; empty when it does not belong behind one."""
    return address_of(node) if node is not None and takes_traffic(node) else ""
