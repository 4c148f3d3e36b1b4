"""Libcloud's drivers as a provider. Libcloud is imported here and beside, and only when chosen."""

from pathlib import Path
from typing import Any

from tiphys.cloud.provider import Provider
from tiphys.cloud.providers.libcloud.config import (
    CloudConfigError,
    DriverConfig,
    LibcloudConfig,
    load,
)


def libcloud_provider(path: Path | None) -> Provider:
    """Raises CloudConfigError: what is wrong with the file, or that Libcloud is not installed."""
    if path is None:
        raise CloudConfigError("the provider libcloud needs a configuration file: --cloud-config")
    return from_config(load(path))


def from_config(config: LibcloudConfig) -> Provider:
    """Raises CloudConfigError."""
    try:
        from libcloud.compute.providers import get_driver as compute_driver
        from libcloud.loadbalancer.providers import get_driver as balancer_driver
    except ImportError as exc:
        text = "the provider libcloud needs Apache Libcloud: pip install 'tiphys[libcloud]'"
        raise CloudConfigError(text) from exc
    from tiphys.cloud.providers.libcloud.instances import LibcloudInstances
    from tiphys.cloud.providers.libcloud.load_balancers import LibcloudLoadBalancers
    from tiphys.cloud.providers.libcloud.routes import LibcloudRoutes

    compute = _made(compute_driver, config.compute, "compute")
    balancer = _made(balancer_driver, config.load_balancer, "loadBalancer")
    return Provider(
        "libcloud",
        load_balancers=LibcloudLoadBalancers(balancer) if balancer else None,
        instances=LibcloudInstances(compute) if compute else None,
        routes=LibcloudRoutes(compute) if compute and config.routes else None,
    )


def _made(get_driver: Any, config: DriverConfig | None, part: str) -> Any:
    if config is None:
        return None
    try:
        return get_driver(config.driver)(**config.arguments())
    except AttributeError as exc:
        text = f'{part}.driver "{config.driver}" is none of Libcloud\'s'
        raise CloudConfigError(text) from exc
    except TypeError as exc:  # Says which argument is missing or unknown, never its value.
        raise CloudConfigError(f"{part}: driver {config.driver}: {exc}") from exc
