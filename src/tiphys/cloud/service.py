"""Service controller: a load balancer for every Service of type LoadBalancer.

Upstream: k8s.io/cloud-provider/controllers/service/controller.go.
Reads Service, Node. Writes Service (finalizer), Service/status.
"""

from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    is_terminating,
    metadata,
    name_of,
    namespace_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.cloud.provider import LoadBalancers, ProviderError

SERVICES: Final = GroupVersionResource("", "v1", "services")
NODES: Final = GroupVersionResource("", "v1", "nodes")
FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"


def wants_balancer(service: Obj) -> bool:
    """Ours when no class names somebody else."""
    spec: Obj = service.get("spec") or {}
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


class ServiceController(KeyedController):
    name = "service-controller"

    def __init__(self, context: Context, balancers: LoadBalancers) -> None:
        super().__init__()
        self._client = context.client_for("service-controller")
        self._recorder = context.recorder(self.name)
        self._balancers = balancers
        self._services = context.informers.of(SERVICES)
        self._nodes = context.informers.of(NODES)
        self._services.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        service = self._services.get(key)
        if service is None:
            return None
        finalizers = metadata(service).get("finalizers") or []
        try:
            if wants_balancer(service) and not is_terminating(service):
                await self._ensure(service, finalizers)
            elif FINALIZER in finalizers:
                await self._remove(service, finalizers)
        except NotFound:
            return None
        except ProviderError as exc:
            text = f"Error syncing load balancer: {exc}"
            self._recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)
            return 5.0
        return None

    async def _ensure(self, service: Obj, finalizers: list[str]) -> None:
        if FINALIZER not in finalizers:
            service = await self._put_finalizers(service, [*finalizers, FINALIZER])
        have = at(service, "status", "loadBalancer", "ingress", default=[])
        if not have:
            text = "Ensuring load balancer"
            self._recorder.event(service, "Normal", "EnsuringLoadBalancer", text)
        wanted = await self._balancers.ensure(service, self._nodes.items())
        if wanted != have:
            await self._put_status(service, {"ingress": wanted})
            text = "Ensured load balancer"
            self._recorder.event(service, "Normal", "EnsuredLoadBalancer", text)

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
