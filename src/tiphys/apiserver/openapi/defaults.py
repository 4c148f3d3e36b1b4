"""The `default` of a field in documents of v3; upstream publishes none in v2.

Go has no value that is not there: what is no pointer, list or map is its type's zero when nobody
writes it, and a struct is an empty one. A scalar that is left out when it is zero says nothing, and
so do types that describe themselves (times, quantities). Some fields are marked with a value.
Upstream: kube-openapi pkg/generators/openapi.go (generateDefault), api/openapi-spec/v3.
"""

from typing import Any, Final

from tiphys.api.schema import Field, TypeDef

_ZEROS: Final[dict[str, Any]] = {"s": "", "i": 0, "l": 0, "b": False, "e": 0}
_CEPH: Final[dict[str, Any]] = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_SCALE_IO: Final[dict[str, Any]] = {"fsType": "xfs", "storageMode": "ThinProvisioned"}
_ISCSI: Final[dict[str, Any]] = {"iscsiInterface": "default"}
_NO_NAME: Final[dict[str, Any]] = {"name": ""}

# Upstream: the markers `+default=` and `+k8s:default` of staging/src/k8s.io/api/*/types.go.
_MARKED: Final[dict[str, dict[str, Any]]] = {
    "autoscaling.v1.ScaleSpec": {"replicas": 0},
    "core.v1.AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    "core.v1.ConfigMapEnvSource": _NO_NAME,
    "core.v1.ConfigMapKeySelector": _NO_NAME,
    "core.v1.ConfigMapProjection": _NO_NAME,
    "core.v1.ConfigMapVolumeSource": _NO_NAME,
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.FileKeySelector": {"optional": False},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ISCSIPersistentVolumeSource": _ISCSI,
    "core.v1.ISCSIVolumeSource": _ISCSI,
    "core.v1.LocalObjectReference": _NO_NAME,
    "core.v1.RBDPersistentVolumeSource": _CEPH,
    "core.v1.RBDVolumeSource": _CEPH,
    "core.v1.ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    "core.v1.ScaleIOPersistentVolumeSource": _SCALE_IO,
    "core.v1.ScaleIOVolumeSource": _SCALE_IO,
    "core.v1.SecretEnvSource": _NO_NAME,
    "core.v1.SecretKeySelector": _NO_NAME,
    "core.v1.SecretProjection": _NO_NAME,
    "core.v1.ServicePort": {"protocol": "TCP"},
    "resource.v1.DeviceToleration": {"operator": "Equal"},
}
_NO_MARKS: Final[dict[str, Any]] = {}


def default_of(field: Field, of: TypeDef) -> Any:
    """None for none."""
    marked = _MARKED.get(of.name, _NO_MARKS).get(field.name)
    if marked is not None:
        return marked
    if field.container or field.pointer or field.omit_zero:
        return None
    if field.ref:
        return {}
    return None if field.omit_empty else _ZEROS.get(field.kind)
