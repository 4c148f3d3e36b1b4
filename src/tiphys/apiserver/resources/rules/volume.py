"""Volumes of pods. Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.object_meta import only_labels_and_annotations
from tiphys.apiserver.resources.rules import downward_api
from tiphys.apiserver.resources.rules.claim_spec import claim_spec
from tiphys.apiserver.resources.rules.paths import (
    file_mode,
    key_to_path,
    local_non_reserved,
    no_backsteps,
)
from tiphys.apiserver.resources.rules.texts import each, named, one_of

ONE_TYPE: Final = "may not specify more than 1 volume type"
_BYTE_MAX: Final = 255
_ISCSI_NAME: Final = re.compile(
    r"^iqn\.\d{4}-\d{2}\.[A-Za-z0-9.-]+(:[^,;*&$|\s]+)$|^eui.[A-Za-z0-9]{16}$"
    r"|^naa.[A-Za-z0-9]{32}$"
)
_TOKEN_SECONDS_MIN: Final = 600
_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip

Check = Callable[[Obj, str], list[FieldError]]


def volumes(
    values: Sequence[Obj], path: str, pod_name: str
) -> tuple[list[FieldError], dict[str, Obj]]:
    """What is wrong, and by name the volumes of which nothing is: only these can be mounted."""
    errors: list[FieldError] = []
    seen: dict[str, Obj] = {}
    for index, volume in enumerate(values):
        where = f"{path}[{index}]"
        found = _source(volume, where, pod_name)
        name = volume.get("name", "")
        if not name:
            found.append(required(f"{where}.name"))
        else:
            texts = names.dns_label(name)
            found += each(f"{where}.name", name, texts)
            if not texts and name in seen:
                found.append(duplicate(f"{where}.name", name))
        if not found:
            seen[name] = volume
        errors += found
    return errors, seen


def _source(volume: Obj, path: str, pod_name: str) -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    for field, check in SOURCES.items():
        source = volume.get(field)
        if source is None:
            continue
        count += 1
        if count > 1:
            shown = ONE_TYPE_NAMES.get(field, field)
            errors.append(forbidden(f"{path}.{shown}", ONE_TYPE))
        else:
            errors += check(source, f"{path}.{SHOWN_NAMES.get(field, field)}")
            if field == "ephemeral":
                errors += _ephemeral_name(volume, path, pod_name)
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _ephemeral_name(volume: Obj, path: str, pod_name: str) -> list[FieldError]:
    if not pod_name:
        return []
    name = f"{pod_name}-{volume.get('name', '')}"
    return [
        invalid(f"{path}.name", volume.get("name", ""), f'PVC name "{name}": {text}')
        for text in names.dns_subdomain(name)
    ]


def needs(*fields: str) -> Check:
    """Fields that must not be empty."""

    def check(source: Obj, path: str) -> list[FieldError]:
        return [required(f"{path}.{f}") for f in fields if not source.get(f)]

    return check


def _empty_dir(source: Obj, path: str) -> list[FieldError]:
    if of(source.get("sizeLimit")).nanos >= 0:
        return []
    return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]


def _host_path(source: Obj, path: str) -> list[FieldError]:
    target = source.get("path", "")
    if not target:
        return [required(f"{path}.path")]
    errors = no_backsteps(target, f"{path}.path")
    kind = source.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def _items(source: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(source.get("items") or ()):
        errors += key_to_path(item, f"{path}.items[{index}]")
    return errors


def _keyed(name_field: str) -> Check:
    """Secrets and config maps as files."""

    def check(source: Obj, path: str) -> list[FieldError]:
        errors = [] if source.get(name_field) else [required(f"{path}.{name_field}")]
        errors += file_mode(source.get("defaultMode"), f"{path}.defaultMode")
        return errors + _items(source, path)

    return check


def _downward_api(source: Obj, path: str) -> list[FieldError]:
    errors = file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    for file in source.get("items") or ():
        errors += downward_file(file, path)
    return errors


def downward_file(file: Obj, path: str) -> list[FieldError]:
    errors = [] if file.get("path") else [required(f"{path}.path")]
    errors += local_non_reserved(file.get("path", ""), f"{path}.path")
    if "fieldRef" in file:
        fields = downward_api.FILE_FIELDS
        errors += downward_api.field_ref(file["fieldRef"], f"{path}.fieldRef", fields)
        if "resourceFieldRef" in file:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", text))
    elif "resourceFieldRef" in file:
        where = f"{path}.resourceFieldRef"
        errors += downward_api.resource_ref(file["resourceFieldRef"], where, of_file=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + file_mode(file.get("mode"), f"{path}.mode")


def _projected(source: Obj, path: str) -> list[FieldError]:
    errors = file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    seen: set[str] = set()
    for index, projection in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        count = 0
        for field in ("secret", "configMap", "downwardAPI", "serviceAccountToken"):
            if field in projection:
                count += 1
                errors += _projection(field, projection[field], f"{where}.{field}", path, seen)
        if "clusterTrustBundle" in projection or "podCertificate" in projection:
            count += 1
        if count > 1:
            errors.append(forbidden(where, ONE_TYPE))
    return errors


def _projection(field: str, value: Obj, path: str, top: str, seen: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    paths: list[tuple[str, str]] = []
    if field in {"secret", "configMap"}:
        if not value.get("name"):
            errors.append(required(f"{path}.name"))
        for index, item in enumerate(value.get("items") or ()):
            errors += key_to_path(item, f"{path}.items[{index}]")
            paths.append((item.get("path", ""), value.get("name", "")))
    elif field == "downwardAPI":
        for file in value.get("items") or ():
            errors += downward_file(file, path)
            paths.append((file.get("path", ""), file.get("path", "")))
    else:
        seconds = value.get("expirationSeconds", 0)
        where = f"{path}.expirationSeconds"
        if seconds < _TOKEN_SECONDS_MIN:
            text = "may not specify a duration less than 10 minutes"
            errors.append(invalid(where, seconds, text))
        if seconds > 1 << 32:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(where, seconds, text))
        if not value.get("path"):
            errors.append(required(f"{path}.path"))
        else:
            errors += local_non_reserved(value["path"], f"{path}.path")
            paths.append((value["path"], value["path"]))
    for name, shown in paths:
        if name in seen:
            errors.append(invalid(top, shown, "conflicting duplicate paths"))
        if name:
            seen.add(name)
    return errors


def _nfs(source: Obj, path: str) -> list[FieldError]:
    errors = needs("server", "path")(source, path)
    if not source.get("path", "").startswith("/"):
        errors.append(invalid(f"{path}.path", source.get("path", ""), "must be an absolute path"))
    return errors


def _azure_disk(source: Obj, path: str) -> list[FieldError]:
    errors = needs("diskName", "diskURI")(source, path)
    uri = source.get("diskURI", "")
    if source.get("kind") == "Managed" and not uri.startswith("/subscriptions/"):
        valid = (
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/"
            "disks/{disk-id}"
        )
        errors.append(not_supported(f"{path}.diskURI", uri, (valid,)))
    elif source.get("kind") != "Managed" and not uri.startswith("https://"):
        valid = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        errors.append(not_supported(f"{path}.diskURI", uri, (valid,)))
    return errors


def _fc(source: Obj, path: str) -> list[FieldError]:
    wwns, wwids = source.get("targetWWNs"), source.get("wwids")
    if not wwns and not wwids:
        text = "must specify either targetWWNs or wwids, but not both"
        return [required(f"{path}.targetWWNs", text)]
    if wwns and wwids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        return [invalid(f"{path}.targetWWNs", wwns, text)]
    if wwns and source.get("lun") is None:
        return [required(f"{path}.lun", "lun is required if targetWWNs is specified")]
    return []


def _csi(source: Obj, path: str) -> list[FieldError]:
    errors = named(source.get("driver", ""), f"{path}.driver", names.dns_subdomain)
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))
    return errors


def _ephemeral(source: Obj, path: str) -> list[FieldError]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{path}.volumeClaimTemplate")]
    meta = f"{path}.volumeClaimTemplate.metadata"
    errors = only_labels_and_annotations(template.get("metadata") or {}, meta)
    return errors + claim_spec(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec")


def _image(source: Obj, path: str) -> list[FieldError]:
    errors = [] if source.get("reference") else [required(f"{path}.reference")]
    policy = source.get("pullPolicy", "")
    return errors + one_of(policy, f"{path}.pullPolicy", ("Always", "IfNotPresent", "Never"))


def _scale_io(source: Obj, path: str) -> list[FieldError]:
    return needs("gateway", "system", "volumeName")(source, path)


def _iscsi(source: Obj, path: str) -> list[FieldError]:
    errors = [] if source.get("targetPortal") else [required(f"{path}.targetPortal")]
    name, lun = source.get("iqn", ""), source.get("lun", 0)
    if not name:
        errors.append(required(f"{path}.iqn"))
    elif not _ISCSI_NAME.search(name):
        errors.append(invalid(f"{path}.iqn", name, "must be valid format"))
    if not 0 <= lun <= _BYTE_MAX:
        errors.append(invalid(f"{path}.lun", lun, names.range_text(0, _BYTE_MAX)))
    if source.get("chapAuthDiscovery") or source.get("chapAuthSession"):
        errors += [] if "secretRef" in source else [required(f"{path}.secretRef")]
    return errors


def _disk(id_field: str) -> Check:
    """A cloud's disk and a partition of it."""

    def check(source: Obj, path: str) -> list[FieldError]:
        errors = needs(id_field)(source, path)
        partition = source.get("partition", 0)
        if not 0 <= partition <= _BYTE_MAX:
            text = names.range_text(1, _BYTE_MAX)
            errors.append(invalid(f"{path}.partition", partition, text))
        return errors

    return check


def _quobyte(source: Obj, path: str) -> list[FieldError]:
    registry = source.get("registry", "")
    errors: list[FieldError] = []
    if not registry:
        text = "must be a host:port pair or multiple pairs separated by commas"
        errors.append(required(f"{path}.registry", text))
    elif any(":" not in pair for pair in registry.split(",")):
        text = "must be a host:port pair or multiple pairs separated by commas"
        errors.append(invalid(f"{path}.registry", registry, text))
    return errors + needs("volume")(source, path)


# In upstream's order, which decides which of two types is one too many.
SOURCES: Final[dict[str, Check]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": needs("repository"),
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "secret": _keyed("secretName"),
    "nfs": _nfs,
    "iscsi": _iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": lambda source, path: [],
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": needs("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": _quobyte,
    "downwardAPI": _downward_api,
    "fc": _fc,
    "flexVolume": needs("driver"),
    "configMap": _keyed("name"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": needs("volumeName"),
    "projected": _projected,
    "scaleIO": _scale_io,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
ONE_TYPE_NAMES: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}  # Upstream's spelling.
SHOWN_NAMES: Final = {"gcePersistentDisk": "persistentDisk"}
