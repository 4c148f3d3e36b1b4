"""Machines by a compute driver of Libcloud. providerID: libcloud://DRIVER/ID."""

from typing import Any, Final

from libcloud.compute.types import NodeState

from tiphys.api.meta import Obj, at, name_of
from tiphys.cloud.provider import InstanceMetadata, ProviderError
from tiphys.cloud.providers.libcloud.calls import call

SCHEME: Final = "libcloud://"
_DOWN: Final = frozenset(
    {NodeState.STOPPED, NodeState.STOPPING, NodeState.SUSPENDED, NodeState.PAUSED}
)


class LibcloudInstances:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def exists(self, node: Obj) -> bool:
        return await self._find(node) is not None

    async def is_shut_down(self, node: Obj) -> bool:
        found = await self._find(node)
        return found is not None and found.state in _DOWN

    async def metadata(self, node: Obj) -> InstanceMetadata:
        found = await self._find(node)
        if found is None:
            raise ProviderError(f"{self._driver.name} has no machine {name_of(node)}")
        return metadata_of(found, str(self._driver.type), str(getattr(self._driver, "region", "")))

    async def _find(self, node: Obj) -> Any:
        """The machine; None when there is none, or it was ended."""
        provider_id = str(at(node, "spec", "providerID", default=""))
        for machine in await call(self._driver.list_nodes):
            wanted = provider_id_of(machine, str(self._driver.type)) == provider_id
            if machine.state != NodeState.TERMINATED and (
                wanted if provider_id else machine.name == name_of(node)
            ):
                return machine
        return None


def provider_id_of(machine: Any, driver: str) -> str:
    return f"{SCHEME}{driver}/{machine.id}"


def metadata_of(machine: Any, driver: str, region: str) -> InstanceMetadata:
    """Drivers differ in where they tell the size and the zone: the usual places are looked at."""
    extra = machine.extra or {}
    size = machine.size
    zone = extra.get("zone") or extra.get("availability") or extra.get("location")
    return InstanceMetadata(
        provider_id=provider_id_of(machine, driver),
        instance_type=_text(size.id if size is not None else extra.get("instance_type")),
        addresses=[
            *({"type": "InternalIP", "address": str(a)} for a in machine.private_ips if a),
            *({"type": "ExternalIP", "address": str(a)} for a in machine.public_ips if a),
        ],
        zone=_text(zone),
        region=_text(region or extra.get("region")),
    )


def _text(found: Any) -> str:
    """A name, or the name of an object of the driver's; it becomes a label."""
    return str(getattr(found, "name", found) or "")
