"""VolumeAttachment. Upstream: pkg/registry/storage/volumeattachment."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required, too_long
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import persistent_volume_rules
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import IMMUTABLE, each
from tiphys.apiserver.resources.storage.rules import driver_name

_INFO = built_in("storage.k8s.io", "v1", "volumeattachments")


_METADATA_BYTES_MAX: Final = 256 * 1024  # maxAttachedVolumeMetadataSize
_MESSAGE_BYTES_MAX: Final = 1024  # maxVolumeErrorMessageSize; the message names the bound above.


def default(attachment: Obj) -> None:
    attachment.setdefault("status", {"attached": False})


def before_create(attachment: Obj) -> None:
    attachment["status"] = {"attached": False}


def validate(attachment: Obj) -> list[FieldError]:
    spec = attachment["spec"]
    source = spec.get("source") or {}
    errors = driver_name(spec.get("attacher", ""), "spec.attacher")
    errors += _source(source, "spec.source")
    node = spec.get("nodeName", "")
    errors += each("spec.nodeName", node, names.dns_subdomain(node))
    errors += _status(attachment.get("status") or {})
    name = source.get("persistentVolumeName")
    if name is None:
        return errors
    return errors + each("spec.source.persistentVolumeName", name, names.dns_subdomain(name))


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    return _status(new.get("status") or {})


def _source(source: Obj, path: str) -> list[FieldError]:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        return [required(path, text)]
    if inline is not None and name is not None:
        return [forbidden(path, text)]
    if inline is not None:
        return persistent_volume_rules.inline_spec(inline, f"{path}.inlineVolumeSpec")
    if not name:
        text = "must specify non empty persistentVolumeName"
        return [required(f"{path}.persistentVolumeName", text)]
    return []


def _status(status: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    found = status.get("attachmentMetadata") or {}
    if sum(len(k.encode()) + len(v.encode()) for k, v in found.items()) > _METADATA_BYTES_MAX:
        errors.append(too_long("status.attachmentMetadata", _METADATA_BYTES_MAX))
    for field in ("attachError", "detachError"):
        problem = status.get(field) or {}
        if len(problem.get("message", "").encode()) > _MESSAGE_BYTES_MAX:
            errors.append(too_long(f"status.{field}.message", _METADATA_BYTES_MAX))
        code = problem.get("errorCode")
        if code is not None and code < 0:
            text = names.range_text(0, 2**31 - 1)
            errors.append(invalid(f"status.{field}.errorCode", code, text))
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    if new["spec"] == old["spec"]:
        return []
    shown = go_form(new["spec"], "storage.v1.VolumeAttachmentSpec")
    return [invalid("spec", shown, IMMUTABLE)]


VOLUME_ATTACHMENT = Resource(
    _INFO,
    validate=validate,
    validate_status_update=validate_status_update,
    validate_update=validate_update,
    allow_unconditional_update=False,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "attacher"),
        cells.value("spec", "source", "persistentVolumeName"),
        cells.value("spec", "nodeName"),
        cells.value("status", "attached", default=False),
        cells.age,
    ),
    default=default,
    before_create=before_create,
    before_update=generation.keep_status,
    before_status_update=generation.status_alone_updated,
)
