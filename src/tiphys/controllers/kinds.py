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
DAEMON_SETS: Final = Gvr("apps", "v1", "daemonsets")
STATEFUL_SETS: Final = Gvr("apps", "v1", "statefulsets")
CONTROLLER_REVISIONS: Final = Gvr("apps", "v1", "controllerrevisions")
REPLICATION_CONTROLLERS: Final = Gvr("", "v1", "replicationcontrollers")
JOBS: Final = Gvr("batch", "v1", "jobs")
CRON_JOBS: Final = Gvr("batch", "v1", "cronjobs")
POD_DISRUPTION_BUDGETS: Final = Gvr("policy", "v1", "poddisruptionbudgets")
HORIZONTAL_POD_AUTOSCALERS: Final = Gvr("autoscaling", "v2", "horizontalpodautoscalers")
RESOURCE_QUOTAS: Final = Gvr("", "v1", "resourcequotas")
PERSISTENT_VOLUMES: Final = Gvr("", "v1", "persistentvolumes")
PERSISTENT_VOLUME_CLAIMS: Final = Gvr("", "v1", "persistentvolumeclaims")
CERTIFICATE_SIGNING_REQUESTS: Final = Gvr("certificates.k8s.io", "v1", "certificatesigningrequests")
STORAGE_CLASSES: Final = Gvr("storage.k8s.io", "v1", "storageclasses")
VOLUME_ATTRIBUTES_CLASSES: Final = Gvr("storage.k8s.io", "v1", "volumeattributesclasses")
SERVICE_CIDRS: Final = Gvr("networking.k8s.io", "v1", "servicecidrs")
IP_ADDRESSES: Final = Gvr("networking.k8s.io", "v1", "ipaddresses")
CLUSTER_ROLES: Final = Gvr("rbac.authorization.k8s.io", "v1", "clusterroles")
VALIDATING_ADMISSION_POLICIES: Final = Gvr(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"
)
