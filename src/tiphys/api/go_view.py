"""How Go shows an object of upstream's internal types as JSON, which some refusals quote.

Internal types have no JSON tags: their fields are shown by their Go names, in declared order,
and all of them, empty ones as Go's zero values (`null` for pointers, lists and maps). Types of
apimachinery (LabelSelector, ObjectMeta) have tags and look as on the wire.

Upstream: pkg/apis/*/types.go, apimachinery pkg/util/validation/field/errors.go (ErrorBody),
apimachinery pkg/util/diff.
"""

import difflib
from collections.abc import Iterable
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field, TypeDef

# Go names that are not the JSON name with a capital; first those that all types share.
_GO_NAMES: Final = {
    "apiGroup": "APIGroup", "apiGroups": "APIGroups", "apiVersion": "APIVersion",
    "apiVersions": "APIVersions", "awsElasticBlockStore": "AWSElasticBlockStore",
    "caBundle": "CABundle", "cel": "CEL", "cephfs": "CephFS", "cidr": "CIDR", "cidrs": "CIDRs",
    "csi": "CSI", "dnsConfig": "DNSConfig", "dnsPolicy": "DNSPolicy", "fc": "FC",
    "fsGroup": "FSGroup", "fsGroupChangePolicy": "FSGroupChangePolicy",
    "fsGroupPolicy": "FSGroupPolicy", "fsType": "FSType",
    "gcePersistentDisk": "GCEPersistentDisk", "gid": "GID",
    "gmsaCredentialSpec": "GMSACredentialSpec",
    "gmsaCredentialSpecName": "GMSACredentialSpecName", "grpc": "GRPC", "hostIP": "HostIP",
    "http": "HTTP", "httpGet": "HTTPGet", "httpHeaders": "HTTPHeaders", "ip": "IP",
    "ipBlock": "IPBlock", "ipFamilies": "IPFamilies", "ipFamilyPolicy": "IPFamilyPolicy",
    "ipMode": "IPMode", "ips": "IPs", "iqn": "IQN", "iscsi": "ISCSI",
    "iscsiInterface": "ISCSIInterface", "jsonPatch": "JSONPatch", "nfs": "NFS", "os": "OS",
    "osImage": "OSImage", "pdName": "PDName", "qosClass": "QOSClass", "rbd": "RBD",
    "seLinuxChangePolicy": "SELinuxChangePolicy", "seLinuxMount": "SELinuxMount",
    "seLinuxOptions": "SELinuxOptions", "sslEnabled": "SSLEnabled", "storageos": "StorageOS",
    "tcpSocket": "TCPSocket", "tls": "TLS",
    "ttlSecondsAfterFinished": "TTLSecondsAfterFinished", "tty": "TTY", "uid": "UID",
    "url": "URL", "wwids": "WWIDs",
}  # fmt: skip
_ISCSI: Final = {"chapAuthDiscovery": "DiscoveryCHAPAuth", "chapAuthSession": "SessionCHAPAuth"}
_RBD: Final = {
    "monitors": "CephMonitors", "image": "RBDImage", "pool": "RBDPool", "user": "RadosUser",
}  # fmt: skip
_GO_NAMES_OF: Final = {
    "core.v1.AzureDiskVolumeSource": {"diskURI": "DataDiskURI"},
    "core.v1.GlusterfsPersistentVolumeSource": {"endpoints": "EndpointsName"},
    "core.v1.GlusterfsVolumeSource": {"endpoints": "EndpointsName"},
    "core.v1.ISCSIPersistentVolumeSource": _ISCSI,
    "core.v1.ISCSIVolumeSource": _ISCSI,
    "core.v1.RBDPersistentVolumeSource": _RBD,
    "core.v1.RBDVolumeSource": _RBD,
    "resource.v1.DeviceAttribute": {
        "int": "IntValue", "bool": "BoolValue", "string": "StringValue",
        "version": "VersionValue", "ints": "IntValues", "bools": "BoolValues",
        "strings": "StringValues", "versions": "VersionValues",
    },
}  # fmt: skip
# Types whose internal fields stand in another order than the served ones; what is not named
# here follows in the served order.
_VOLUME_SOURCES: Final = (
    "gcePersistentDisk", "awsElasticBlockStore", "hostPath", "glusterfs", "nfs", "rbd", "quobyte",
    "iscsi", "flexVolume", "cinder", "cephfs", "fc", "flocker", "azureFile", "vsphereVolume",
    "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_ORDER: Final = {
    "core.v1.PersistentVolumeClaimSpec": ("accessModes", "selector", "resources", "volumeName"),
    "core.v1.PersistentVolumeSource": _VOLUME_SOURCES,
    "core.v1.PersistentVolumeSpec": ("capacity", *_VOLUME_SOURCES),
}
_ZEROS: Final = {"s": "", "i": 0, "l": 0, "d": 0, "b": False, "Q": "0", "I": 0}


def go_view(value: Obj, type_name: str) -> Obj:
    """An object of a served type (`resource.v1.ResourceClaimSpec`) as Go shows the internal one."""
    definition = SCHEMA.types[type_name]
    if definition.package == "meta.v1":
        return value
    shown: Obj = {}
    for field in _ordered(definition):
        if field.ref == "meta.v1.ObjectMeta":  # Embedded: its fields stand among the others.
            shown |= value.get(field.name) or {}
        else:
            shown[_go_name(type_name, field)] = _field_view(value.get(field.name), field)
    return shown


def _ordered(definition: TypeDef) -> Iterable[Field]:
    first = _ORDER.get(definition.name, ())
    rest = [f for name, f in definition.fields.items() if name not in first]
    return [*(definition.fields[name] for name in first), *rest]


def _go_name(type_name: str, field: Field) -> str:
    own = _GO_NAMES_OF.get(type_name, {}).get(field.name)
    return own or _GO_NAMES.get(field.name) or field.name[:1].upper() + field.name[1:]


def _field_view(value: Any, field: Field) -> Any:
    if field.container:
        return None if value is None else _contained(value, field)
    if value is not None:
        return go_view(value, field.ref) if field.ref else value
    if field.pointer:
        return None
    return go_view({}, field.ref) if field.ref else _ZEROS.get(field.kind)


def _contained(value: Any, field: Field) -> Any:
    if field.container == "list":
        return [_item_view(item, field) for item in value]
    return {key: _item_view(item, field) for key, item in sorted(value.items())}


def _item_view(item: Any, field: Field) -> Any:
    if isinstance(item, list):
        return [_item_view(each, field) for each in item]
    return go_view(item, field.ref) if field.ref else item


def go_diff(old: Any, new: Any) -> str:
    """The difference of two views line by line, as upstream appends it to a refusal."""
    lines = difflib.unified_diff(_lines(old), _lines(new), n=3)
    return "".join(list(lines)[2:])  # Without the two lines that name files.


def _lines(view: Any) -> list[str]:
    """JSON with one space a level; a line break behind the last line too, as go-difflib splits."""
    text = orjson.dumps(view, option=orjson.OPT_INDENT_2).decode()
    return [_one_space(line) + "\n" for line in text.split("\n")]


def _one_space(line: str) -> str:
    bare = line.lstrip(" ")
    return " " * ((len(line) - len(bare)) // 2) + bare
