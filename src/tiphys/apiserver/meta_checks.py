"""How often the rules of a kind check an object's metadata.

Upstream's generic layer checks it once; most kinds do so again, some twice, and messages show that.
From the recorded answers. Upstream: ValidateX and ValidateXUpdate of pkg/apis/*/validation.
"""

from typing import Final, NamedTuple

from tiphys.api.meta import GroupVersionKind


class MetaChecks(NamedTuple):
    """Of a kind's own rules for updates, beside the generic layer's."""

    whole: int = 0  # As that of a new object.
    change: int = 1  # As a change of the old one.


_ONLY_WHOLE: Final = MetaChecks(whole=1, change=0)
_NONE: Final = MetaChecks(whole=0, change=0)
_BOTH: Final = MetaChecks(whole=1, change=1)
# Kinds that are not here check the change.
_CHECKS: Final = {
    "APIService": _BOTH,
    "CertificateSigningRequest": _BOTH,
    "ClusterRole": _BOTH,
    "ClusterRoleBinding": _BOTH,
    "ConfigMap": _BOTH,
    "ControllerRevision": _BOTH,
    "CSIStorageCapacity": _BOTH,
    "DeviceClass": _BOTH,
    "Endpoints": _BOTH,
    "Ingress": _BOTH,
    "IngressClass": _BOTH,
    "IPAddress": _BOTH,
    "Namespace": _BOTH,
    "Node": _BOTH,
    "PersistentVolumeClaim": _BOTH,
    "Pod": _BOTH,
    "ResourceClaim": _BOTH,
    "ResourceClaimTemplate": _BOTH,
    "Role": _BOTH,
    "RoleBinding": _BOTH,
    "RuntimeClass": _BOTH,
    "Secret": _BOTH,
    "ServiceAccount": _BOTH,
    "StorageClass": _BOTH,
    "VolumeAttributesClass": _BOTH,
    "CSINode": _ONLY_WHOLE,
    "EndpointSlice": _ONLY_WHOLE,
    "events.k8s.io/Event": _ONLY_WHOLE,
    "FlowSchema": _ONLY_WHOLE,
    "LimitRange": _ONLY_WHOLE,
    "MutatingAdmissionPolicy": _ONLY_WHOLE,
    "MutatingAdmissionPolicyBinding": _ONLY_WHOLE,
    "MutatingWebhookConfiguration": _ONLY_WHOLE,
    "PriorityLevelConfiguration": _ONLY_WHOLE,
    "ValidatingAdmissionPolicy": _ONLY_WHOLE,
    "ValidatingAdmissionPolicyBinding": _ONLY_WHOLE,
    "ValidatingWebhookConfiguration": _ONLY_WHOLE,
    "VolumeAttachment": _ONLY_WHOLE,
    "PersistentVolume": MetaChecks(whole=2, change=0),
    "/Event": _NONE,
    "PodDisruptionBudget": _NONE,
}
# Upstream checks the metadata of all others with core/validation, which wants finalizers qualified.
_ANY_FINALIZERS: Final = frozenset(
    {
        "/Event",
        "APIService",
        "CustomResourceDefinition",
        "Lease",
        "PodDisruptionBudget",
        "RuntimeClass",
        "SelfSubjectReview",
        "TokenReview",
    }
)


# Kinds whose rules for a status look at nothing but the change of the metadata.
_PLAIN_STATUS: Final = frozenset(
    {
        "APIService",
        "Ingress",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "ResourceClaim",
    }
)


def meta_checks(gvk: GroupVersionKind, *, of_status: bool = False) -> MetaChecks:
    """Of a built-in kind."""
    if of_status and gvk.kind in _PLAIN_STATUS:
        return MetaChecks()
    found = _CHECKS.get(gvk.kind) or _CHECKS.get(f"{gvk.group}/{gvk.kind}")
    return MetaChecks() if found is None else found


def wants_qualified_finalizers(gvk: GroupVersionKind) -> bool:
    if gvk.group == "admissionregistration.k8s.io":
        return False
    return not {gvk.kind, f"{gvk.group}/{gvk.kind}"} & _ANY_FINALIZERS
