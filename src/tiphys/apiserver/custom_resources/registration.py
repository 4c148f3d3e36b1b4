"""APIServices of the groups that definitions define, for those who look there.

Upstream: kube-aggregator pkg/controllers/autoregister, pkg/controlplane/controller/crdregistration.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tiphys.api.meta import Obj, labels_of
from tiphys.api.resources import GroupVersionInfo
from tiphys.apiserver.aggregation.registration import AUTO_LABEL, local_api_service
from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.storage.backend import RevisionMismatch

if TYPE_CHECKING:
    from tiphys.apiserver.server import ApiServer

VERSION_PRIORITY: Final = 100
_SYNCED: Final = "true"  # Made and taken away with a definition; "onstart" is for built-in ones.


def api_service(version: GroupVersionInfo) -> Obj:
    """Of one group and version."""
    made = local_api_service(version)
    made["metadata"]["labels"] = {AUTO_LABEL: _SYNCED}
    made["spec"]["versionPriority"] = VERSION_PRIORITY
    return made


async def register(server: "ApiServer", versions: Iterable[GroupVersionInfo]) -> None:
    """Make those that are missing, take away those that nobody serves. Raises StorageError."""
    endpoint = server.endpoints["apiregistration.k8s.io", "v1", "apiservices"]
    bootstrap = Bootstrap(server.store, server.endpoints, server.clock, server.rng)
    wanted = {f"{v.version}.{v.group}": v for v in versions}
    for version in wanted.values():
        info = endpoint.info
        await bootstrap.ensure(info.group, info.plural, api_service(version))
    for key in list(endpoint.cache.objects):
        cached = endpoint.cache.get(key)
        if cached is None or key.rpartition("/")[2] in wanted:
            continue
        if labels_of(endpoint.decode(cached)).get(AUTO_LABEL) == _SYNCED:
            try:
                await server.store.delete(endpoint.cache, key, cached.revision)
            except RevisionMismatch:
                continue  # Somebody wrote it: the next change of a definition looks again.
