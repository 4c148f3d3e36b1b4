"""CertificateSigningRequest. Upstream: pkg/registry/certificates/certificates."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at, rfc3339
from tiphys.api.resources import built_in
from tiphys.apiserver.printing import human_duration
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.certificates import rules
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.user import User

_INFO = built_in("certificates.k8s.io", "v1", "certificatesigningrequests")
_REQUESTER: Final = ("username", "uid", "groups", "extra")


def before_create(request: Obj) -> None:
    request["status"] = {}
    for name in _REQUESTER:
        request["spec"].pop(name, None)


def note_request(new: Obj, old: Obj | None, user: User, now: datetime) -> None:
    """Who asks is written down, never what they say of themselves; conditions get their times."""
    if old is None:
        found = user.to_obj()
        new["spec"] |= {name: found[name] for name in _REQUESTER if name in found}
        return
    conditions = at(new, "status", "conditions", default=[])
    if conditions:
        before = at(old, "status", "conditions", default=[])
        dated = [_dated(c, before, rfc3339(now)) for c in conditions]
        new["status"] = new["status"] | {"conditions": dated}


def _dated(condition: Obj, before: list[Obj], now: str) -> Obj:
    same = (c for c in before if _kind(c) == _kind(condition) and c.get("lastTransitionTime"))
    since = next((c["lastTransitionTime"] for c in same), now)
    times = {"lastUpdateTime": now, "lastTransitionTime": since}
    return condition | {name: condition.get(name) or time for name, time in times.items()}


def _kind(condition: Obj) -> tuple[object, object]:
    return condition.get("type"), condition.get("status")


def before_update(new: Obj, old: Obj) -> None:
    generation.keep_spec(new, old)
    generation.keep_status(new, old)


def before_status_update(new: Obj, old: Obj) -> None:
    """An approval stays as it was given: only the subresource for it changes it."""
    generation.keep_spec(new, old)
    conditions = list(at(new, "status", "conditions", default=[]))
    for kind in rules.APPROVALS:
        places = [i for i, c in enumerate(conditions) if c.get("type") == kind]
        given = rules.of_type(old, kind)
        if len(places) == len(given):
            for place, condition in zip(places, given, strict=True):
                conditions[place] = condition
    if conditions:
        new["status"] = new["status"] | {"conditions": conditions}


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
    before_status_update=before_status_update,
    note_request=note_request,
    validate_create=rules.validate_create,
    validate_status_update=rules.validate_status,
    validate_name=lambda name, is_prefix: [],
    selectable_fields={"spec.signerName": lambda o: str(at(o, "spec", "signerName", default=""))},
)
