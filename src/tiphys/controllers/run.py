"""The controller manager: which controllers run.

Upstream: cmd/kube-controller-manager/app/controllermanager.go.
"""

from collections.abc import Callable, Sequence

from tiphys.client.component import run_elected
from tiphys.client.controller import Context, Controller
from tiphys.controllers.bootstrap_signer import BootstrapSigner
from tiphys.controllers.certificate_approving import CertificateApprovingController
from tiphys.controllers.certificate_authority import Authority
from tiphys.controllers.certificate_cleaner import CertificateCleaner
from tiphys.controllers.certificate_signing import CertificateSigningController, signers
from tiphys.controllers.cluster_role_aggregation import ClusterRoleAggregationController
from tiphys.controllers.config import ControllersConfig
from tiphys.controllers.cron_job import CronJobController
from tiphys.controllers.daemon_set import DaemonSetController
from tiphys.controllers.deployment import DeploymentController
from tiphys.controllers.disruption import DisruptionController
from tiphys.controllers.endpoint_slice import EndpointSliceController
from tiphys.controllers.endpoint_slice_mirroring import EndpointSliceMirroringController
from tiphys.controllers.endpoints import EndpointsController
from tiphys.controllers.ephemeral_volume import EphemeralVolumeController
from tiphys.controllers.garbage_collector import GarbageCollector
from tiphys.controllers.horizontal_pod_autoscaler import HorizontalPodAutoscalerController
from tiphys.controllers.job import JobController
from tiphys.controllers.kubelet_serving_approving import KubeletServingApprovingController
from tiphys.controllers.local_path_provisioner import LocalPathProvisioner
from tiphys.controllers.namespace import NamespaceController
from tiphys.controllers.node_ipam import NodeIpamController
from tiphys.controllers.node_lifecycle import NodeLifecycleController
from tiphys.controllers.persistent_volume_claim_protection import PersistentVolumeClaimProtection
from tiphys.controllers.persistent_volume_protection import PersistentVolumeProtection
from tiphys.controllers.pod_garbage_collector import PodGarbageCollector
from tiphys.controllers.replica_set import ReplicaSetController
from tiphys.controllers.replication_controller import ReplicationControllerController
from tiphys.controllers.resource_quota import ResourceQuotaController
from tiphys.controllers.root_ca_certificate_publisher import RootCertificatePublisher
from tiphys.controllers.service_account import ServiceAccountController
from tiphys.controllers.service_account_token import TokenController, TokenSigner
from tiphys.controllers.service_cidr import ServiceCidrController
from tiphys.controllers.stateful_set import StatefulSetController
from tiphys.controllers.taint_eviction import TaintEvictionController
from tiphys.controllers.token_cleaner import TokenCleaner
from tiphys.controllers.ttl import TtlController
from tiphys.controllers.ttl_after_finished import TtlAfterFinishedController
from tiphys.controllers.validating_policy_status import ValidatingPolicyStatusController
from tiphys.controllers.volume_attributes_class_protection import VolumeAttributesClassProtection
from tiphys.controllers.volume_binder import VolumeBinder

Make = Callable[[Context, ControllersConfig], Controller]

CONTROLLERS: tuple[Make, ...] = (
    lambda context, config: ServiceAccountController(context),
    lambda context, config: RootCertificatePublisher(context, config.root_ca_file.read_text()),
    lambda context, config: NodeLifecycleController(context, config.node_monitor_grace_seconds),
    lambda context, config: TaintEvictionController(context),
    lambda context, config: DeploymentController(context),
    lambda context, config: ReplicaSetController(context),
    lambda context, config: ReplicationControllerController(context),
    lambda context, config: DaemonSetController(context),
    lambda context, config: StatefulSetController(context),
    lambda context, config: JobController(context),
    lambda context, config: TtlAfterFinishedController(context),
    lambda context, config: CronJobController(context),
    lambda context, config: DisruptionController(context),
    lambda context, config: ClusterRoleAggregationController(context),
    lambda context, config: ValidatingPolicyStatusController(context),
    lambda context, config: HorizontalPodAutoscalerController(context),
    lambda context, config: ResourceQuotaController(context),
    lambda context, config: EphemeralVolumeController(context),
    lambda context, config: VolumeBinder(context),
    lambda context, config: PersistentVolumeClaimProtection(context),
    lambda context, config: PersistentVolumeProtection(context),
    lambda context, config: VolumeAttributesClassProtection(context),
    lambda context, config: EndpointsController(context),
    lambda context, config: EndpointSliceController(context),
    lambda context, config: EndpointSliceMirroringController(context),
    lambda context, config: TtlController(context),
    lambda context, config: NamespaceController(context),
    lambda context, config: PodGarbageCollector(context),
    lambda context, config: GarbageCollector(context),
    lambda context, config: CertificateApprovingController(context),
    lambda context, config: CertificateCleaner(context),
    lambda context, config: ServiceCidrController(context),
)
# Only where machines may join. Upstream's are off until --controllers names them, as kubeadm does.
JOINING: tuple[Make, ...] = (
    lambda context, config: BootstrapSigner(context),
    lambda context, config: TokenCleaner(context),
    lambda context, config: KubeletServingApprovingController(context),
)


async def run(config: ControllersConfig) -> None:
    """Wait for the lease, then run every controller until cancelled."""
    await run_elected(
        config.kubeconfig,
        "kube-controller-manager",
        config.identity,
        lambda context: controllers_of(context, config),
        config.metrics,
    )


def controllers_of(context: Context, config: ControllersConfig) -> Sequence[Controller]:
    """All controllers that the configuration asks for. Raises OSError, ValueError for a file."""
    wanted = CONTROLLERS + (JOINING if config.machines_join else ())
    made = [make_one(context, config) for make_one in wanted]
    if config.service_account_key is not None:
        signer = TokenSigner.from_file(config.service_account_key)
        made.append(TokenController(context, signer, config.root_ca_file.read_bytes()))
    if config.client_signing and config.serving_signing:
        by_name = signers(
            Authority.from_files(*config.client_signing),
            Authority.from_files(*config.serving_signing),
        )
        made.append(CertificateSigningController(context, by_name, config.signing_seconds))
    if config.cluster_cidr:
        made.append(NodeIpamController(context, config.cluster_cidr, config.node_cidr_mask_size))
    if config.nodes_directory is not None:
        made.append(LocalPathProvisioner(context, config.nodes_directory))
    return made
