"""audit.k8s.io/v1 Event as a JSON line, put together from pieces: most of it comes again and again.

Upstream: apiserver pkg/apis/audit/v1/types.go (fields and their order), pkg/audit/request.go.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import orjson

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionKind, Obj
from tiphys.apiserver.audit.policy import LEVELS, Verdict
from tiphys.apiserver.bodies import parse_body
from tiphys.apiserver.filters.authorization import Decision
from tiphys.apiserver.negotiation import JSON, PROTOBUF, YAML
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User
from tiphys.codec.typed import DecodeError
from tiphys.lib.http.message import Request, Response

HEADS: Final = tuple(
    f'{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"{name}","auditID":'
    for name in LEVELS
)
"""By level; the audit ID follows."""
USER_AGENT_CHARS_MAX: Final = 1024  # maxUserAgentLength
ANNOTATIONS_MAX: Final = 1024  # Remembered.
_CUT: Final = "...TRUNCATED"
_REF_KEYS: Final = ("name", "namespace", "uid", "resourceVersion")
_DECODED: Final = GroupVersionKind("", "v1", "Status")  # What a body without a kind is taken for.


def source_ips(request: Request) -> list[str]:
    """Those that proxies tell of, then the peer. Upstream: apimachinery net.SourceIPs."""
    told = [ip.strip() for ip in request.headers.get("x-forwarded-for", "").split(",")]
    real = request.headers.get("x-real-ip", "").strip()
    found = [ip for ip in told if ip]
    if real and real not in found:
        found.append(real)
    if request.peer_address and request.peer_address not in found:
        found.append(request.peer_address)
    return found


def object_ref(info: RequestInfo, body: Any) -> Obj | None:
    """What the request is about; what its path does not say is in the object that it brings."""
    if not info.is_resource:
        return None
    ref: Obj = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "uid": "",
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": "",
        "subresource": info.subresource,
    }
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if isinstance(metadata, dict):
        for key in _REF_KEYS:
            if not ref[key] and isinstance(metadata.get(key), str):
                ref[key] = metadata[key]
    return {key: value for key, value in ref.items() if value}


def middle(
    request: Request, info: RequestInfo, user: User | None, impersonated: User | None, body: Any
) -> str:
    """From requestURI to objectRef: the same for all stages, and for requests that are the same."""
    agent = request.headers.get("user-agent", "")
    if len(agent) > USER_AGENT_CHARS_MAX:
        agent = agent[:USER_AGENT_CHARS_MAX] + _CUT
    found: Obj = {
        "requestURI": request.target,
        "verb": info.verb,
        "user": {} if user is None else user.to_obj(),
    }
    if impersonated is not None:
        found["impersonatedUser"] = impersonated.to_obj()
    ips = source_ips(request)
    if ips:
        found["sourceIPs"] = ips
    if agent:
        found["userAgent"] = agent
    ref = object_ref(info, body)
    if ref is not None:
        found["objectRef"] = ref
    return orjson.dumps(found)[1:-1].decode()


def stamp(moment: datetime) -> str:
    """UTC, to the microsecond. The second is put together once: isoformat takes twice the time."""
    m = moment
    second = _second(m.year, m.month, m.day, m.hour, m.minute, m.second)
    return f"{second}.{m.microsecond:06d}Z"


@lru_cache(2)
def _second(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str:
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


More = Mapping[str, str]
Noted = tuple[
    Verdict, bytes, str, str, str | int, Any, Any, datetime, datetime, Decision | None, More
]  # fmt: skip
"""An event before it is a line: what the policy said, audit ID, stage, middle, status (or only its
code), the request's and the answer's object, when it came, when the stage was, who allowed it, and
what admission said of it."""


def encode(noted: Noted) -> str:
    """The line. Many at once are cheaper than one with each request: the code stays in caches."""
    verdict, audit_id, stage, middle, status, body, answer, received, now, decision, more = noted
    times = f'"requestReceivedTimestamp":"{stamp(received)}","stageTimestamp":"{stamp(now)}"'
    shown = plain_status(status) if isinstance(status, int) else status
    return (
        f'{HEADS[verdict.level]}{_quoted(audit_id)},"stage":"{stage}",{middle}'
        f"{_member('responseStatus', shown)}"
        f"{_object('requestObject', body, verdict)}{_object('responseObject', answer, verdict)}"
        f",{times}{_member('annotations', _all_annotations(decision, more))}}}\n"
    )


def _member(name: str, text: str) -> str:
    return f',"{name}":{text}' if text else ""


def _object(name: str, obj: Any, verdict: Verdict) -> str:
    if obj is None:
        return ""
    if verdict.omit_managed_fields:
        obj = without_managed_fields(obj)
    return f',"{name}":{orjson.dumps(obj).decode()}'


def _quoted(audit_id: bytes) -> str:
    """A client may have chosen it."""
    return orjson.dumps(audit_id.decode("utf-8", "replace")).decode()


@lru_cache(ANNOTATIONS_MAX)
def annotations(decision: Decision | None) -> str:
    if decision is None:
        return ""
    document = {
        "authorization.k8s.io/decision": "allow" if decision.allowed else "forbid",
        "authorization.k8s.io/reason": decision.reason,
    }
    if decision.error and not decision.allowed:  # Nothing was decided.
        document = {"authorization.k8s.io/reason": "internal error"}
    return orjson.dumps(document).decode()


def _all_annotations(decision: Decision | None, more: More) -> str:
    known = annotations(decision)
    if not more:
        return known
    found = orjson.loads(known or "{}") | dict(more)
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def plain_status(code: int) -> str:
    """Of an answer without a Status."""
    return f'{{"metadata":{{}},"code":{code}}}'


def response_status(answer_code: int, body: Any) -> str:
    """`code`, and what a Status says of a failure."""
    status: Obj = {"metadata": {}}
    if isinstance(body, dict) and body.get("kind") == "Status":
        for key in ("status", "message", "reason", "details"):
            if body.get(key):
                status[key] = body[key]
    return orjson.dumps(status | {"code": answer_code}).decode()


def decoded(data: bytes, content_type: str) -> Any:
    """A body as an object; None when it is none that can be shown."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == YAML or kind.endswith("+yaml"):
            return parse_body(data, YAML, _DECODED)[0]
        if kind == PROTOBUF:
            return parse_body(data, PROTOBUF, _DECODED)[0]
        if kind == JSON or kind.endswith("+json") or not kind:
            return orjson.loads(data) if data else None
    except (DecodeError, ValueError, ApiError):
        return None
    return None


def body_of(answer: Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def content_type_of(answer: Response) -> str:
    return next((v for k, v in answer.headers if k == "Content-Type"), "")


def without_managed_fields(obj: Any) -> Any:
    """Of an object, or of each of a list's. Changes it in place: it is ours alone."""
    if not isinstance(obj, dict):
        return obj
    for one in (obj, *(obj.get("items") or ())):
        if isinstance(one, dict) and isinstance(one.get("metadata"), dict):
            one["metadata"].pop("managedFields", None)
    return obj
