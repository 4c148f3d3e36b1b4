"""Volumes of pods. Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)."""

from collections.abc import Iterator, Sequence
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
from tiphys.apiserver.object_meta import (
    only_labels_and_annotations,
    validate_annotations,
    validate_labels,
)
from tiphys.apiserver.resources.rules import downward_api
from tiphys.apiserver.resources.rules import network_storage as network
from tiphys.apiserver.resources.rules.claim_spec import claim_spec
from tiphys.apiserver.resources.rules.network_storage import Check, needs
from tiphys.apiserver.resources.rules.paths import (
    file_mode,
    key_to_path,
    local_descending,
    local_non_reserved,
    no_backsteps,
)
from tiphys.apiserver.resources.rules.texts import each, one_of

ONE_TYPE: Final = "may not specify more than 1 volume type"
_ONE_TYPE_PER_SOURCE: Final = f"{ONE_TYPE} per source"
_TOKEN_SECONDS_MIN: Final = 600
_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip


def volumes(
    values: Sequence[Obj], path: str, pod_name: str | None
) -> tuple[list[FieldError], dict[str, Obj]]:
    """What is wrong, and by name the volumes of which nothing is: only these can be mounted.

    pod_name is None for a template.
    """
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
        if pod_name and "persistentVolumeClaim" in volume:
            errors += _made_claim(volume["persistentVolumeClaim"], values, where, pod_name)
    return errors, seen


def _made_claim(
    source: Obj, values: Sequence[Obj], path: str, pod_name: str
) -> Iterator[FieldError]:
    """No claim that is made for an ephemeral volume of the same pod."""
    claim = source.get("claimName", "")
    made = (f"{pod_name}-{v.get('name', '')}" for v in values if "ephemeral" in v)
    if claim in made:
        text = "must not reference a PVC that gets created for an ephemeral volume"
        yield invalid(f"{path}.persistentVolumeClaim.claimName", claim, text)


def _source(volume: Obj, path: str, pod_name: str | None) -> list[FieldError]:
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
        if field in _ASKING:
            errors += _in_pod(field, volume, path, pod_name, is_first=count == 1)
    if not count:
        errors.append(required(path, "must specify a volume type"))
    return errors


_ASKING: Final = frozenset({"iscsi", "ephemeral", "image"})


def _in_pod(
    field: str, volume: Obj, path: str, pod_name: str | None, *, is_first: bool
) -> list[FieldError]:
    """Rules that ask for the name of the volume or for its pod."""
    name, source = volume.get("name", ""), volume[field]
    match field:
        case "iscsi" if network.is_long_for_initiator(source, name):
            return [invalid(f"{path}.name", name, network.NAME_AND_PORTAL_TEXT)]
        case "ephemeral" if is_first and pod_name and name:
            claim = f"{pod_name}-{name}"
            texts = [f'PVC name "{claim}": {text}' for text in names.dns_subdomain(claim)]
            return each(f"{path}.name", name, texts)
        case "image" if is_first and pod_name is not None:
            return needs("reference")(source, f"{path}.image")
    return []


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
            errors.append(forbidden(where, _ONE_TYPE_PER_SOURCE))
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
        where = f"{top}.path"  # Upstream names the volume's field, not the source's.
        if not value.get("path"):
            errors.append(required(where))
        else:
            errors += local_non_reserved(value["path"], where)
    for name, shown in paths:
        if name in seen:
            errors.append(invalid(top, shown, "conflicting duplicate paths"))
        if name:
            seen.add(name)
    return errors


def _ephemeral(source: Obj, path: str) -> list[FieldError]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [required(f"{path}.volumeClaimTemplate")]
    where = f"{path}.volumeClaimTemplate"
    errors = template_metadata(template.get("metadata") or {}, f"{where}.metadata")
    return errors + claim_spec(template.get("spec") or {}, f"{where}.spec")


def template_metadata(metadata: Obj, path: str) -> list[FieldError]:
    """Of an object that is made for a pod."""
    errors = validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    errors += validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    return errors + only_labels_and_annotations(metadata, path)


def _image(source: Obj, path: str) -> list[FieldError]:
    policy = source.get("pullPolicy", "")
    return one_of(policy, f"{path}.pullPolicy", ("Always", "IfNotPresent", "Never"))


def _git_repo(source: Obj, path: str) -> list[FieldError]:
    errors = needs("repository")(source, path)
    return errors + local_descending(source.get("directory", ""), f"{path}.directory")


# In upstream's order, which decides which of two types is one too many.
SOURCES: Final[dict[str, Check]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": network.disk("pdName"),
    "awsElasticBlockStore": network.disk("volumeID"),
    "secret": _keyed("secretName"),
    "nfs": network.nfs,
    "iscsi": network.iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": network.flocker,
    "persistentVolumeClaim": needs("claimName"),
    "rbd": needs("monitors", "image"),
    "cinder": network.cinder,
    "cephfs": needs("monitors"),
    "quobyte": network.quobyte,
    "downwardAPI": _downward_api,
    "fc": network.fibre_channel,
    "flexVolume": network.flex_volume,
    "configMap": _keyed("name"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": network.azure_disk,
    "storageos": network.storage_os("name"),
    "projected": _projected,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "csi": network.csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
ONE_TYPE_NAMES: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}  # Upstream's spelling.
SHOWN_NAMES: Final = {"gcePersistentDisk": "persistentDisk"}
