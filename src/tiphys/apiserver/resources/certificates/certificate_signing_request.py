"""CertificateSigningRequest. Upstream: pkg/registry/certificates/certificates."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.printing import human_duration
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.certificates import rules
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("certificates.k8s.io", "v1", "certificatesigningrequests")


def before_create(request: Obj) -> None:
    request["status"] = {}


def before_update(new: Obj, old: Obj) -> None:
    generation.keep_spec(new, old)
    generation.keep_status(new, old)


def _status(request: Obj, _: datetime) -> Any:
    kinds = {c.get("type") for c in at(request, "status", "conditions", default=[])}
    words = ["Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"]
    if "Failed" in kinds:
        words.append("Failed")
    if at(request, "status", "certificate"):
        words.append("Issued")
    return ",".join(words)


def _duration(request: Obj, _: datetime) -> Any:
    seconds = at(request, "spec", "expirationSeconds")
    return "<none>" if seconds is None else human_duration(seconds)


CERTIFICATE_SIGNING_REQUEST = Resource(
    _INFO,
    validate=rules.validate,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.age,
        cells.value("spec", "signerName", default="<none>"),
        cells.value("spec", "username"),
        _duration,
        _status,
    ),
    before_create=before_create,
    before_update=before_update,
    before_status_update=generation.status_updated,
    selectable_fields={"spec.signerName": lambda o: str(at(o, "spec", "signerName", default=""))},
)
