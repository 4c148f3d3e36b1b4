"""All built-in resources with their rules, by group, version and plural."""

from collections.abc import Mapping
from typing import Final

from tiphys.api.resources import RESOURCES as INFOS
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.resources.apps.deployment import DEPLOYMENT
from tiphys.apiserver.resources.apps.replica_set import REPLICA_SET
from tiphys.apiserver.resources.coordination.lease import LEASE
from tiphys.apiserver.resources.core.config_map import CONFIG_MAP
from tiphys.apiserver.resources.core.event import EVENT
from tiphys.apiserver.resources.core.namespace import NAMESPACE
from tiphys.apiserver.resources.core.node import NODE
from tiphys.apiserver.resources.core.pod import POD
from tiphys.apiserver.resources.core.secret import SECRET
from tiphys.apiserver.resources.core.service import SERVICE
from tiphys.apiserver.resources.core.service_account import SERVICE_ACCOUNT
from tiphys.apiserver.resources.discovery.endpoint_slice import ENDPOINT_SLICE
from tiphys.apiserver.resources.events.event import EVENT as EVENTS_EVENT
from tiphys.apiserver.resources.resource import Resource

Key = tuple[str, str, str]

_OWN: Final = (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    EVENTS_EVENT,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)


def _key(info: ResourceInfo) -> Key:
    return info.group, info.version, info.plural


_BY_KEY: Final = {_key(r.info): r for r in _OWN}
RESOURCES: Final[Mapping[Key, Resource]] = {
    _key(info): _BY_KEY.get(_key(info)) or Resource(info) for info in INFOS
}


def all_resources() -> list[Resource]:
    return list(RESOURCES.values())
