"""What a new cluster's API holds from the start; missing objects come back at each start.

Upstream: pkg/controlplane/controller (systemnamespaces, kubernetesservice), pkg/registry/rbac and
/scheduling rest (post-start hooks), pkg/apis/scheduling/v1/helpers.go.
"""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Network
from typing import Final

from tiphys.api.errors import AlreadyExists
from tiphys.api.meta import Obj, rfc3339
from tiphys.api.resources import GROUP_VERSIONS
from tiphys.apiserver.aggregation.registration import local_api_service
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.rbac_bootstrap import RbacObjects
from tiphys.apiserver.kubernetes_service import API_SERVICE, api_endpoint_slice, api_endpoints
from tiphys.apiserver.object_meta import fill_on_create
from tiphys.apiserver.writes import encoded, ttl_of
from tiphys.codec.typed import to_typed
from tiphys.lib.clock import Clock
from tiphys.storage.backend import KeyExists, RevisionMismatch
from tiphys.storage.store import Store

SYSTEM_NAMESPACES: Final = ("kube-system", "kube-public", "kube-node-lease", "default")
HTTPS_PORT: Final = 443
_PRIORITIES: Final = (
    (
        "system-node-critical",
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another"
        " node if necessary.",
    ),
)
Endpoints = dict[tuple[str, str, str], Endpoint]


class Bootstrap:
    """Writes the objects past admission, as upstream's hooks do with their loopback client."""

    def __init__(
        self, store: Store, endpoints: Endpoints, clock: Clock, rng: random.Random
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock = clock
        self._rng = rng

    async def run(self, config: ApiServerConfig, first_address: str, roles: RbacObjects) -> None:
        for name in SYSTEM_NAMESPACES:
            await self.ensure("", "namespaces", {"metadata": {"name": name}})
        for plural, objects in roles.items():
            for obj in objects:
                await self.ensure("rbac.authorization.k8s.io", plural, obj)
        for name, value, description in _PRIORITIES:
            obj = {"metadata": {"name": name}, "value": value, "description": description}
            await self.ensure("scheduling.k8s.io", "priorityclasses", obj)
        await self.ensure("", "services", api_service(first_address))
        cidr = service_cidr(config.service_network, self._clock.now())
        await self.ensure("networking.k8s.io", "servicecidrs", cidr)
        # Many at once share one fsync.
        await asyncio.gather(
            *(
                self.ensure("apiregistration.k8s.io", "apiservices", local_api_service(version))
                for version in GROUP_VERSIONS
            )
        )
        trusted = extension_authentication(config)
        await self.ensure("", "configmaps", trusted, replace=("data",))
        if not self._store.is_shared:
            await self.publish([config.advertise_address], config.advertise_port)

    async def publish(self, addresses: Sequence[str], port: int) -> bool:
        """Where API servers are reached, behind the `kubernetes` Service. As `ensure`."""
        slice_ = api_endpoint_slice(addresses, port)
        return await self.ensure(
            "", "endpoints", api_endpoints(addresses, port), replace=("subsets",)
        ) and await self.ensure(
            "discovery.k8s.io", "endpointslices", slice_, replace=("endpoints", "ports")
        )

    async def ensure(
        self, group: str, plural: str, obj: Obj, *, replace: tuple[str, ...] = ()
    ) -> bool:
        """Create what is missing; of what is there, put right only the fields to replace.

        False when another API server was faster: the object may not be as wanted.
        """
        endpoint = self._endpoints.get((group, "v1", plural))
        if endpoint is None:
            return True
        metadata = obj["metadata"]
        key = endpoint.key(metadata.get("namespace", ""), metadata["name"])
        present = endpoint.cache.get(key)
        try:
            if present is None:
                value = encoded(endpoint, self._filled(endpoint, obj))
                ttl = ttl_of(endpoint)
                await self._store.create(endpoint.cache, key, value, ttl_seconds=ttl)
            elif replace:
                old = endpoint.decode(present)
                new = old | {k: obj[k] for k in replace}
                if new != old:
                    value = encoded(endpoint, new)
                    await self._store.update(endpoint.cache, key, value, present.revision)
        except (KeyExists, AlreadyExists, RevisionMismatch):
            return False
        return True

    def _filled(self, endpoint: Endpoint, obj: Obj) -> Obj:
        info = endpoint.info
        new: Obj = {"kind": info.kind, "apiVersion": info.gvk.api_version}
        new |= to_typed(obj, info.schema_type)
        namespace = new["metadata"].get("namespace", "")
        fill_on_create(
            new, namespace, namespaced=info.namespaced, now=self._clock.now(), rng=self._rng
        )
        endpoint.resource.default(new)
        endpoint.resource.before_create(new)
        if "status" in obj:  # Ours is true; a client's would not be believed.
            new["status"] = obj["status"]
        return new


def service_cidr(network: IPv4Network, now: datetime) -> Obj:
    """The range of the addresses of Services. Upstream: controller/defaultservicecidr, which leaves
    the finalizer to pkg/controller/servicecidrs."""
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
    }
    return {
        "metadata": {
            "name": API_SERVICE,
            "finalizers": ["networking.k8s.io/service-cidr-finalizer"],
        },
        "spec": {"cidrs": [str(network)]},
        "status": {"conditions": [ready]},
    }


def extension_authentication(config: ApiServerConfig) -> Obj:
    """Whom other API servers are to believe. Upstream: controller/clusterauthenticationtrust."""
    data = {"client-ca-file": config.client_ca.read_text()}
    if config.requestheader_ca is not None:
        said = config.requestheader
        lists = {
            "allowed-names": said.allowed_names,
            "extra-headers-prefix": [_shown(name) for name in said.extra_prefixes],
            "group-headers": [_shown(name) for name in said.group_headers],
            "uid-headers": [_shown(name) for name in said.uid_headers],
            "username-headers": [_shown(name) for name in said.username_headers],
        }
        data |= {f"requestheader-{k}": json.dumps(list(v)) for k, v in lists.items()}
        data["requestheader-client-ca-file"] = config.requestheader_ca.read_text()
    metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    return {"metadata": metadata, "data": data}


def _shown(header: str) -> str:
    """`x-remote-user` as everybody writes it."""
    return header.title()


def api_service(first_address: str) -> Obj:
    return {
        "metadata": {
            "name": API_SERVICE,
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": API_SERVICE},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": HTTPS_PORT, "targetPort": 6443}],
            "clusterIP": first_address,
            "clusterIPs": [first_address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }
