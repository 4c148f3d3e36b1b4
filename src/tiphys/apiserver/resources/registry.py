"""All built-in resources with their rules, by group, version and plural."""

from collections.abc import Mapping
from typing import Final

from tiphys.api.resources import RESOURCES as INFOS
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.resources.admissionregistration.mutating_admission_policy import (
    MUTATING_ADMISSION_POLICY,
)
from tiphys.apiserver.resources.admissionregistration.mutating_admission_policy_binding import (
    MUTATING_ADMISSION_POLICY_BINDING,
)
from tiphys.apiserver.resources.admissionregistration.mutating_webhook_configuration import (
    MUTATING_WEBHOOK_CONFIGURATION,
)
from tiphys.apiserver.resources.admissionregistration.validating_admission_policy import (
    VALIDATING_ADMISSION_POLICY,
)
from tiphys.apiserver.resources.admissionregistration.validating_admission_policy_binding import (
    VALIDATING_ADMISSION_POLICY_BINDING,
)
from tiphys.apiserver.resources.admissionregistration.validating_webhook_configuration import (
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from tiphys.apiserver.resources.apiextensions.custom_resource_definition import (
    CUSTOM_RESOURCE_DEFINITION,
)
from tiphys.apiserver.resources.apiregistration.api_service import API_SERVICE
from tiphys.apiserver.resources.apps.controller_revision import CONTROLLER_REVISION
from tiphys.apiserver.resources.apps.daemon_set import DAEMON_SET
from tiphys.apiserver.resources.apps.deployment import DEPLOYMENT
from tiphys.apiserver.resources.apps.replica_set import REPLICA_SET
from tiphys.apiserver.resources.apps.stateful_set import STATEFUL_SET
from tiphys.apiserver.resources.autoscaling.horizontal_pod_autoscaler import (
    HORIZONTAL_POD_AUTOSCALER,
)
from tiphys.apiserver.resources.autoscaling.horizontal_pod_autoscaler_v1 import (
    HORIZONTAL_POD_AUTOSCALER_V1,
)
from tiphys.apiserver.resources.batch.cron_job import CRON_JOB
from tiphys.apiserver.resources.batch.job import JOB
from tiphys.apiserver.resources.certificates.certificate_signing_request import (
    CERTIFICATE_SIGNING_REQUEST,
)
from tiphys.apiserver.resources.coordination.lease import LEASE
from tiphys.apiserver.resources.core.component_status import COMPONENT_STATUS
from tiphys.apiserver.resources.core.config_map import CONFIG_MAP
from tiphys.apiserver.resources.core.endpoints import ENDPOINTS
from tiphys.apiserver.resources.core.event import EVENT
from tiphys.apiserver.resources.core.limit_range import LIMIT_RANGE
from tiphys.apiserver.resources.core.namespace import NAMESPACE
from tiphys.apiserver.resources.core.node import NODE
from tiphys.apiserver.resources.core.persistent_volume import PERSISTENT_VOLUME
from tiphys.apiserver.resources.core.persistent_volume_claim import PERSISTENT_VOLUME_CLAIM
from tiphys.apiserver.resources.core.pod import POD
from tiphys.apiserver.resources.core.pod_template import POD_TEMPLATE
from tiphys.apiserver.resources.core.replication_controller import REPLICATION_CONTROLLER
from tiphys.apiserver.resources.core.resource_quota import RESOURCE_QUOTA
from tiphys.apiserver.resources.core.secret import SECRET
from tiphys.apiserver.resources.core.service import SERVICE
from tiphys.apiserver.resources.core.service_account import SERVICE_ACCOUNT
from tiphys.apiserver.resources.discovery.endpoint_slice import ENDPOINT_SLICE
from tiphys.apiserver.resources.events.event import EVENT as EVENTS_EVENT
from tiphys.apiserver.resources.flowcontrol.flow_schema import FLOW_SCHEMA
from tiphys.apiserver.resources.flowcontrol.priority_level_configuration import (
    PRIORITY_LEVEL_CONFIGURATION,
)
from tiphys.apiserver.resources.networking.ingress import INGRESS
from tiphys.apiserver.resources.networking.ingress_class import INGRESS_CLASS
from tiphys.apiserver.resources.networking.ip_address import IP_ADDRESS
from tiphys.apiserver.resources.networking.network_policy import NETWORK_POLICY
from tiphys.apiserver.resources.networking.service_cidr import SERVICE_CIDR
from tiphys.apiserver.resources.node.runtime_class import RUNTIME_CLASS
from tiphys.apiserver.resources.policy.pod_disruption_budget import POD_DISRUPTION_BUDGET
from tiphys.apiserver.resources.rbac.cluster_role import CLUSTER_ROLE
from tiphys.apiserver.resources.rbac.cluster_role_binding import CLUSTER_ROLE_BINDING
from tiphys.apiserver.resources.rbac.role import ROLE
from tiphys.apiserver.resources.rbac.role_binding import ROLE_BINDING
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.resource_k8s_io.device_class import DEVICE_CLASS
from tiphys.apiserver.resources.resource_k8s_io.resource_claim import RESOURCE_CLAIM
from tiphys.apiserver.resources.resource_k8s_io.resource_claim_template import (
    RESOURCE_CLAIM_TEMPLATE,
)
from tiphys.apiserver.resources.resource_k8s_io.resource_slice import RESOURCE_SLICE
from tiphys.apiserver.resources.scheduling.priority_class import PRIORITY_CLASS
from tiphys.apiserver.resources.storage.csi_driver import CSI_DRIVER
from tiphys.apiserver.resources.storage.csi_node import CSI_NODE
from tiphys.apiserver.resources.storage.csi_storage_capacity import CSI_STORAGE_CAPACITY
from tiphys.apiserver.resources.storage.storage_class import STORAGE_CLASS
from tiphys.apiserver.resources.storage.volume_attachment import VOLUME_ATTACHMENT
from tiphys.apiserver.resources.storage.volume_attributes_class import VOLUME_ATTRIBUTES_CLASS

Key = tuple[str, str, str]

_OWN: Final = (
    CLUSTER_ROLE_BINDING,
    ROLE_BINDING,
    CLUSTER_ROLE,
    ROLE,
    ENDPOINTS,
    LIMIT_RANGE,
    COMPONENT_STATUS,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    CONTROLLER_REVISION,
    DAEMON_SET,
    STATEFUL_SET,
    JOB,
    CRON_JOB,
    INGRESS_CLASS,
    INGRESS,
    IP_ADDRESS,
    NETWORK_POLICY,
    SERVICE_CIDR,
    POD_DISRUPTION_BUDGET,
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
    PRIORITY_CLASS,
    RUNTIME_CLASS,
    HORIZONTAL_POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER_V1,
    CERTIFICATE_SIGNING_REQUEST,
    FLOW_SCHEMA,
    PRIORITY_LEVEL_CONFIGURATION,
    MUTATING_WEBHOOK_CONFIGURATION,
    MUTATING_ADMISSION_POLICY,
    MUTATING_ADMISSION_POLICY_BINDING,
    VALIDATING_WEBHOOK_CONFIGURATION,
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    API_SERVICE,
    CUSTOM_RESOURCE_DEFINITION,
    DEVICE_CLASS,
    RESOURCE_CLAIM,
    RESOURCE_CLAIM_TEMPLATE,
    RESOURCE_SLICE,
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
