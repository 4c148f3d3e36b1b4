"""audit.k8s.io/v1 Event as a JSON line, put together from pieces: most of it comes again and again.

Upstream: apiserver pkg/apis/audit/v1/types.go (fields and their order), pkg/audit/request.go.
"""

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
    b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"%b","auditID":' % name.encode()
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
) -> bytes:
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
    return orjson.dumps(found)[1:-1]


def stamp(moment: datetime) -> bytes:
    """UTC. isoformat is five times as quick as strftime."""
    return b"%bZ" % moment.isoformat(timespec="microseconds")[:26].encode()


Noted = tuple[
    Verdict, bytes, bytes, bytes, bytes | int, Any, Any, datetime, datetime, Decision | None
]
"""An event before it is a line: what the policy said, audit ID, stage, middle, status (or only its
code), the request's and the answer's object, when it came, when the stage was, who allowed it."""


_USUAL: Final = (
    b'%b%b,"stage":"%b",%b,"responseStatus":{"metadata":{},"code":%d},'
    b'"requestReceivedTimestamp":"%b","stageTimestamp":"%b","annotations":%b}\n'
)


def encode(noted: Noted) -> bytes:
    """The line. Many at once are cheaper than one with each request: the code stays in caches."""
    verdict, audit_id, stage, middle, status, body, answer, received, now, decision = noted
    if body is None and answer is None and decision is not None and isinstance(status, int):
        return _USUAL % (
            HEADS[verdict.level],
            _quoted(audit_id),
            stage,
            middle,
            status,
            stamp(received),
            stamp(now),
            annotations(decision),
        )
    pieces = [HEADS[verdict.level], _quoted(audit_id)]
    pieces += [b',"stage":"', stage, b'",', middle]
    if status:
        shown = plain_status(status) if isinstance(status, int) else status
        pieces += [b',"responseStatus":', shown]
    if body is not None:
        pieces += [b',"requestObject":', _shown(body, verdict)]
    if answer is not None:
        pieces += [b',"responseObject":', _shown(answer, verdict)]
    pieces += [b',"requestReceivedTimestamp":"', stamp(received)]
    pieces += [b'","stageTimestamp":"', stamp(now), b'"']
    if decision is not None:
        pieces += [b',"annotations":', annotations(decision)]
    pieces.append(b"}\n")
    return b"".join(pieces)


def _quoted(audit_id: bytes) -> bytes:
    """A client may have chosen it."""
    return orjson.dumps(audit_id.decode("utf-8", "replace"))


def _shown(obj: Any, verdict: Verdict) -> bytes:
    if verdict.omit_managed_fields:
        obj = without_managed_fields(obj)
    return orjson.dumps(obj)


@lru_cache(ANNOTATIONS_MAX)
def annotations(decision: Decision) -> bytes:
    return orjson.dumps(
        {
            "authorization.k8s.io/decision": "allow" if decision.allowed else "forbid",
            "authorization.k8s.io/reason": decision.reason,
        }
    )


def plain_status(code: int) -> bytes:
    """Of an answer without a Status."""
    return b'{"metadata":{},"code":%d}' % code


def response_status(answer_code: int, body: Any) -> bytes:
    """`code`, and what a Status says of a failure."""
    status: Obj = {"metadata": {}}
    if isinstance(body, dict) and body.get("kind") == "Status":
        for key in ("status", "message", "reason", "details"):
            if body.get(key):
                status[key] = body[key]
    return orjson.dumps(status | {"code": answer_code})


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
