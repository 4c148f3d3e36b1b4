"""The resources that controllers read and write, by name."""

from typing import Final

from tiphys.api.meta import GroupVersionResource as Gvr

PODS: Final = Gvr("", "v1", "pods")
NODES: Final = Gvr("", "v1", "nodes")
SERVICES: Final = Gvr("", "v1", "services")
ENDPOINTS: Final = Gvr("", "v1", "endpoints")
NAMESPACES: Final = Gvr("", "v1", "namespaces")
SECRETS: Final = Gvr("", "v1", "secrets")
CONFIG_MAPS: Final = Gvr("", "v1", "configmaps")
SERVICE_ACCOUNTS: Final = Gvr("", "v1", "serviceaccounts")
DEPLOYMENTS: Final = Gvr("apps", "v1", "deployments")
REPLICA_SETS: Final = Gvr("apps", "v1", "replicasets")
ENDPOINT_SLICES: Final = Gvr("discovery.k8s.io", "v1", "endpointslices")
LEASES: Final = Gvr("coordination.k8s.io", "v1", "leases")
