"""Storage that lies elsewhere: disks of clouds, network file systems, drivers.

Pods and persistent volumes name most of it alike; what only persistent volumes say has a function
of its own beside it. Upstream: pkg/apis/core/validation/validation.go (validateISCSIVolumeSource
and the functions after it).
"""

import re
from collections.abc import Callable
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, not_supported, required, too_long
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, named

Check = Callable[[Obj, str], list[FieldError]]

_BYTE_MAX: Final = 255
_DRIVER_NAME_MAX: Final = 63
_TENANT_MAX: Final = 64
_NAME_AND_PORTAL_MAX: Final = 64
NAME_AND_PORTAL_TEXT: Final = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
    "iscsi.initiatorName is specified."
)
_INITIATORS: Final = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.[A-Za-z0-9.-]+:[^,;*&$|\s]+\Z", re.ASCII),
    "eui": re.compile(r"\Aeui.[A-Za-z0-9]{16}\Z"),
    "naa": re.compile(r"\Anaa.[A-Za-z0-9]{32}\Z"),
}
_HOST_AND_PORT: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):[^\[\]:]*")
_REGISTRY_TEXT: Final = "must be a host:port pair or multiple pairs separated by commas"
_RESERVED_OPTIONS: Final = (".kubernetes.io", ".k8s.io")
_CACHING_MODES: Final = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS: Final = ("Dedicated", "Managed", "Shared")
_MANAGED_URI: Final = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/"
    "disks/{disk-id}"
)
_BLOB_URI: Final = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def needs(*fields: str) -> Check:
    """Fields that must not be empty."""

    def check(source: Obj, path: str) -> list[FieldError]:
        return [required(f"{path}.{f}") for f in fields if not source.get(f)]

    return check


def _secret(source: Obj, path: str, *fields: str) -> list[FieldError]:
    """The reference to a secret, if there is one."""
    reference = source.get("secretRef")
    return [] if reference is None else needs(*fields)(reference, f"{path}.secretRef")


def is_long_for_initiator(source: Obj, volume_name: str) -> bool:
    """Whether a volume of iSCSI names its initiator, and the names together are too long."""
    name = f"{volume_name}:{source.get('targetPortal', '')}"
    return "initiatorName" in source and len(name.encode()) > _NAME_AND_PORTAL_MAX


def iscsi(source: Obj, path: str) -> list[FieldError]:
    return needs("targetPortal")(source, path) + _iscsi(source, path, of_pod=True)


def iscsi_of_volume(source: Obj, path: str, volume_name: str) -> list[FieldError]:
    """Of a persistent volume."""
    errors = needs("targetPortal")(source, path)
    if is_long_for_initiator(source, volume_name):
        portal = source.get("targetPortal", "")
        errors.append(invalid(f"{path}.targetportal", portal, NAME_AND_PORTAL_TEXT))
    return errors + _iscsi(source, path, of_pod=False)


def _iscsi(source: Obj, path: str, *, of_pod: bool) -> list[FieldError]:
    name, lun = source.get("iqn", ""), source.get("lun", 0)
    errors = _initiator(name, f"{path}.iqn", of_pod=of_pod) if name else needs("iqn")(source, path)
    if not 0 <= lun <= _BYTE_MAX:
        errors.append(invalid(f"{path}.lun", lun, names.range_text(0, _BYTE_MAX)))
    asks = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if asks and source.get("secretRef") is None:
        errors.append(required(f"{path}.secretRef"))
    if not of_pod:
        errors += _secret(source, path, "name")
    if "initiatorName" in source:
        errors += _initiator(source["initiatorName"], f"{path}.initiatorname", of_pod=of_pod)
    return errors


def _initiator(name: str, path: str, *, of_pod: bool) -> list[FieldError]:
    pattern = _INITIATORS.get(name[:3])
    if pattern is not None:
        return [] if pattern.search(name) else [invalid(path, name, "must be valid format")]
    text = "must be valid format starting with iqn, eui, or naa" if of_pod else ""
    return [invalid(path, name, text or "must be valid format")]


def fibre_channel(source: Obj, path: str) -> list[FieldError]:
    wwns, wwids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    errors: list[FieldError] = []
    if not wwns and not wwids:
        text = "must specify either targetWWNs or wwids, but not both"
        errors.append(required(f"{path}.targetWWNs", text))
    if wwns and wwids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid(f"{path}.targetWWNs", wwns, text))
    if wwns and lun is None:
        errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif wwns and not 0 <= (lun or 0) <= _BYTE_MAX:
        errors.append(invalid(f"{path}.lun", lun, names.range_text(0, _BYTE_MAX)))
    return errors


def disk(id_field: str) -> Check:
    """A cloud's disk and a partition of it."""

    def check(source: Obj, path: str) -> list[FieldError]:
        errors = needs(id_field)(source, path)
        partition = source.get("partition", 0)
        if not 0 <= partition <= _BYTE_MAX:
            text = names.range_text(1, _BYTE_MAX)
            errors.append(invalid(f"{path}.partition", partition, text))
        return errors

    return check


def nfs(source: Obj, path: str) -> list[FieldError]:
    errors = needs("server", "path")(source, path)
    if not source.get("path", "").startswith("/"):
        errors.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))
    return errors


def quobyte(source: Obj, path: str) -> list[FieldError]:
    registry = source.get("registry", "")
    errors: list[FieldError] = []
    if not registry:
        errors.append(required(f"{path}.registry", _REGISTRY_TEXT))
    elif len(source.get("tenant", "").encode()) > _TENANT_MAX:
        text = f"must be a UUID and may not exceed a length of {_TENANT_MAX} characters"
        errors.append(required(f"{path}.tenant", text))
    else:
        wrong = [pair for pair in registry.split(",") if not _HOST_AND_PORT.fullmatch(pair)]
        errors += [invalid(f"{path}.registry", registry, _REGISTRY_TEXT) for _ in wrong]
    return errors + needs("volume")(source, path)


def glusterfs_of_volume(source: Obj, path: str) -> list[FieldError]:
    """Of a persistent volume: its endpoints may be in another namespace."""
    errors = needs("endpoints", "path")(source, path)
    namespace, where = source.get("endpointsNamespace"), f"{path}.endpointsNamespace"
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid(where, namespace, text))
    elif namespace is not None:
        errors += each(where, namespace, names.dns_label(namespace))
    return errors


def flocker(source: Obj, path: str) -> list[FieldError]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    errors: list[FieldError] = []
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        text = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid(path, "resource", text))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def cinder(source: Obj, path: str) -> list[FieldError]:
    return needs("volumeID")(source, path) + _secret(source, path, "name")


def cinder_of_volume(source: Obj, path: str) -> list[FieldError]:
    return needs("volumeID")(source, path) + _secret(source, path, "name", "namespace")


def flex_volume(source: Obj, path: str) -> list[FieldError]:
    errors = needs("driver")(source, path)
    text = "kubernetes.io and k8s.io namespaces are reserved"
    for option in sorted(source.get("options") or {}):
        namespace = option.partition("/")[0].lower()
        if f".{namespace}".endswith(_RESERVED_OPTIONS):
            errors.append(invalid(f"{path}.options[{option}]", option, text))
    return errors


def azure_file_of_volume(source: Obj, path: str) -> list[FieldError]:
    errors = needs("secretName", "shareName")(source, path)
    if source.get("secretNamespace") == "":
        errors.append(required(f"{path}.secretNamespace"))
    return errors


def azure_disk(source: Obj, path: str) -> list[FieldError]:
    errors = needs("diskName", "diskURI")(source, path)
    uri, kind = source.get("diskURI", ""), source.get("kind")
    for field, valid in (("cachingMode", _CACHING_MODES), ("kind", _DISK_KINDS)):
        value = source.get(field)
        if value is not None and value not in valid:
            errors.append(not_supported(f"{path}.{field}", value, valid))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(f"{path}.diskURI", uri, (_MANAGED_URI,)))
    elif kind not in {None, "Managed"} and not uri.startswith("https://"):
        errors.append(not_supported(f"{path}.diskURI", uri, (_BLOB_URI,)))
    return errors


def storage_os(*of_secret: str) -> Check:
    """of_secret: what the reference to a secret must say."""

    def check(source: Obj, path: str) -> list[FieldError]:
        name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
        errors = named(name, f"{path}.volumeName", names.dns_label)
        errors += named(namespace, f"{path}.volumeNamespace", names.dns_label, needed=False)
        return errors + _secret(source, path, *of_secret)

    return check


def driver_name(name: str, path: str) -> list[FieldError]:
    """Of a CSI driver."""
    if not name:
        return [required(path)]
    errors = [too_long(path, _DRIVER_NAME_MAX)] if len(name.encode()) > _DRIVER_NAME_MAX else []
    return errors + each(path, name, names.dns_subdomain(name.lower()))


def csi(source: Obj, path: str) -> list[FieldError]:
    errors = driver_name(source.get("driver", ""), f"{path}.driver")
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))
    elif secret is not None:
        errors += each(f"{path}.name", secret["name"], names.dns_subdomain(secret["name"]))
    return errors


_CSI_SECRETS: Final = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)


def csi_of_volume(source: Obj, path: str) -> list[FieldError]:
    errors = driver_name(source.get("driver", ""), f"{path}.driver")
    errors += needs("volumeHandle")(source, path)
    for field in _CSI_SECRETS:
        secret = source.get(field)
        if secret is not None:
            where = f"{path}.{field}"
            errors += named(secret.get("name", ""), f"{where}.name", names.dns_subdomain)
            errors += named(secret.get("namespace", ""), f"{where}.namespace", names.dns_label)
    return errors
