"""The cloud controller manager. Upstream: k8s.io/cloud-provider app."""

from collections.abc import Sequence

from tiphys.client.component import run_elected
from tiphys.client.controller import Context, Controller
from tiphys.cloud.config import CloudConfig
from tiphys.cloud.kinds import SERVICES
from tiphys.cloud.provider import Provider
from tiphys.cloud.providers import LIBCLOUD
from tiphys.cloud.service import ServiceController


async def run(config: CloudConfig) -> None:
    """Wait for the lease, then run the controllers until cancelled.

    Raises CloudConfigError when the provider's configuration is not usable.
    """

    def make(context: Context) -> Sequence[Controller]:
        if not config.provider:
            return []
        return controllers(context, config, provider_of(context, config))

    name = "cloud-controller-manager"
    await run_elected(config.kubeconfig, name, config.identity, make, config.metrics)


def provider_of(context: Context, config: CloudConfig) -> Provider:
    """Providers are imported when they are chosen: Libcloud takes 13 MB."""
    if config.provider == LIBCLOUD:
        from tiphys.cloud.providers.libcloud.provider import libcloud_provider

        return libcloud_provider(config.cloud_config)
    from tiphys.cloud.providers.local import LocalLoadBalancers

    services = context.informers.of(SERVICES)
    return Provider("local", LocalLoadBalancers(config.load_balancer_pool, services.items))


def controllers(context: Context, config: CloudConfig, provider: Provider) -> list[Controller]:
    """Those whose part the provider has."""
    found: list[Controller] = []
    if provider.load_balancers is not None:
        balancers = provider.load_balancers
        found.append(ServiceController(context, balancers, balances=config.balances))
    if provider.instances is not None:
        from tiphys.cloud.node import CloudNodeController
        from tiphys.cloud.node_lifecycle import CloudNodeLifecycleController

        found.append(CloudNodeController(context, provider.instances))
        found.append(CloudNodeLifecycleController(context, provider.instances))
    if provider.routes is not None:
        from tiphys.cloud.route import RouteController

        found.append(RouteController(context, provider.routes, config.cluster_cidr))
    return found
