"""The resources that the kubelet reads and writes, as GroupVersionResource."""

from typing import Final

from tiphys.api.meta import GroupVersionResource

PODS: Final = GroupVersionResource("", "v1", "pods")
NODES: Final = GroupVersionResource("", "v1", "nodes")
SERVICES: Final = GroupVersionResource("", "v1", "services")
CONFIG_MAPS: Final = GroupVersionResource("", "v1", "configmaps")
SECRETS: Final = GroupVersionResource("", "v1", "secrets")
SERVICE_ACCOUNTS: Final = GroupVersionResource("", "v1", "serviceaccounts")
CLAIMS: Final = GroupVersionResource("", "v1", "persistentvolumeclaims")
VOLUMES: Final = GroupVersionResource("", "v1", "persistentvolumes")
LEASES: Final = GroupVersionResource("coordination.k8s.io", "v1", "leases")
TOKEN_REVIEWS: Final = GroupVersionResource("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS: Final = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
