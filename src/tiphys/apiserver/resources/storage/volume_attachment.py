"""VolumeAttachment. Upstream: pkg/registry/storage/volumeattachment."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.storage import rules

_INFO = built_in("storage.k8s.io", "v1", "volumeattachments")


def default(attachment: Obj) -> None:
    attachment.setdefault("status", {"attached": False})


def before_create(attachment: Obj) -> None:
    attachment["status"] = {"attached": False}


VOLUME_ATTACHMENT = Resource(
    _INFO,
    validate=rules.volume_attachment,
    validate_update=rules.volume_attachment_update,
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
    before_status_update=generation.status_updated,
)
