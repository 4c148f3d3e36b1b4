"""The cloud controller manager. Upstream: k8s.io/cloud-provider app."""

from collections.abc import Sequence

from tiphys.client.component import run_elected
from tiphys.client.controller import Context, Controller
from tiphys.cloud.config import CloudConfig
from tiphys.cloud.providers.local import LocalLoadBalancers
from tiphys.cloud.service import SERVICES, ServiceController


async def run(config: CloudConfig) -> None:
    """Wait for the lease, then run the controllers until cancelled."""

    def make(context: Context) -> Sequence[Controller]:
        if not config.load_balancer_pool:
            return []
        services = context.informers.of(SERVICES)
        balancers = LocalLoadBalancers(config.load_balancer_pool, services.items)
        return [ServiceController(context, balancers)]

    name = "cloud-controller-manager"
    await run_elected(config.kubeconfig, name, config.identity, make, config.metrics)
