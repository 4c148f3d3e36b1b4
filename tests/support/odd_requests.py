"""Requests that no client should send: bodies, patches, queries, headers and paths gone wrong.

`a_request(rng)` makes one. What it makes is shaped by the schema of the kinds, so that it gets as
far as the rules of each kind, and then is wrong there.
"""

import base64
import json
import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from support.furnished import WIDGETS
from support.odd_headers import odd_headers
from support.odd_values import WORDS, a_struct, a_word, any_value, as_json, as_yaml, spoilt
from tiphys.api.resources import RESOURCES, ResourceInfo
from tiphys.codec import protobuf
from tiphys.codec.wire import delimited, tag, varint

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"

NAMES: Final = ("a", "b", "c")
KINDS: Final = tuple(r for r in RESOURCES if "create" in r.verbs)
STORED: Final = tuple(r for r in KINDS if "get" in r.verbs)


class OddRequest(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


def a_request(rng: random.Random) -> OddRequest:
    return rng.choice(_MAKERS)(rng)


def an_object(rng: random.Random, info: ResourceInfo, name: str) -> Any:
    made = a_struct(rng, info.schema_type)
    if rng.random() < 0.93:
        made["apiVersion"], made["kind"] = info.gvk.api_version, info.kind
        metadata = made.get("metadata")
        made["metadata"] = (metadata if isinstance(metadata, dict) else {}) | {"name": name}
        made["metadata"].pop("resourceVersion", None)
        if rng.random() < 0.9:
            made["metadata"].pop("namespace", None)
    return made if rng.random() < 0.99 else any_value(rng)


def _base(info: ResourceInfo, namespace: str = "default") -> str:
    root = f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"
    return (
        f"{root}/namespaces/{namespace}/{info.plural}"
        if info.namespaced
        else f"{root}/{info.plural}"
    )


def _query(rng: random.Random, *names: str) -> str:
    pairs = []
    for name in rng.sample(names, rng.randrange(min(len(names), 3) + 1)):
        values = _PARAMETERS.get(name, ())
        value = rng.choice(values) if values and rng.random() < 0.7 else a_word(rng)
        pairs.append(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}")
    text = "&".join(pairs)
    if rng.random() < 0.03:
        text += rng.choice(("&", "&&&", "%", "%zz", "=", "&%00=1", "&a" * 2000, "?", "#", ";"))
    return f"?{text}" if text else ""


_WRITE_OPTIONS: Final = ("dryRun", "fieldManager", "fieldValidation", "pretty", "timeout", "force")
_LIST_OPTIONS: Final = (
    "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "limit",
    "continue",
    "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "watch", "pretty",
    "includeObject",
    "timeout",
)  # fmt: skip
_DELETE_OPTIONS: Final = (
    "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "dryRun", "uid",
    "resourceVersion",
)  # fmt: skip
_PARAMETERS: Final = {
    "dryRun": ("All", "All", "all", "None"),
    "fieldManager": ("m", "m" * 129, "é", "\x01"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "strict"),
    "force": ("true", "false", "maybe"),
    "pretty": ("true", "false", "2"),
    "timeout": ("1s", "-1s", "1e9h", "99999999999999999999h"),
    "labelSelector": (
        "a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "a notin ()", "a in (", "a,b,!c", "=",
        "a>1",
        "a>x", "a<9999999999999999999", "a in (b", "!", "!!a", ",", "a,,b", "(a)", "a=b=c",
        "in in (in)",
        "a in ((b))", "a b", "a notin (b),c" * 50, "x" * 5000, "a in (" + "b," * 5000 + "b)",
        "!a in (b)",
    ),
    "fieldSelector": (
        "metadata.name=a", "metadata.name!=a", "spec.nodeName=a", "a=b", "=", "metadata.name", "\\",
        "metadata.name=a\\", "metadata.name=a\\,b", "metadata.name=a,metadata.name=b", ",", "==",
        "!=",
        "metadata.name==a=b", "status.phase=x", "metadata.namespace=default", "metadata.name=a\\x",
        "metadata.name=../x", "metadata.name=a/b",
    ),
    "resourceVersion": ("0", "1", "2", "-1", "00", "1.0", "bad", "99999999999", "9" * 30,
    "9" * 5000, "\u0661"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "exact"),
    "limit": ("1", "0", "-1", "9223372036854775807", "9" * 30, "1e3", "1_0", " 1", "9" * 5000),
    "timeoutSeconds": ("1", "0", "-1", "9223372036854775807", "bad", "9" * 30),
    "sendInitialEvents": ("true", "false", "maybe"),
    "allowWatchBookmarks": ("true", "maybe"),
    "watch": ("0", "false", "1", "true", "maybe"),
    "includeObject": ("None", "Metadata", "Object", "none"),
    "gracePeriodSeconds": ("0", "-1", "5", "9" * 30, "x"),
    "propagationPolicy": ("Orphan", "Background", "Foreground", "x"),
    "orphanDependents": ("true", "x"),
    "uid": ("x",),
}  # fmt: skip


def a_continue_token(rng: random.Random) -> str:
    token: Any = {
        "v": rng.choice(("meta.k8s.io/v1", "meta.k8s.io/v1", "v2", 1, None)),
        "rv": rng.choice((1, -1, 0, 5, 2**31, 2**63, 2**64, 10**25, 1.5, True, "1", None,
        -(2**70))),
        "start": rng.choice(
            ("default/a\0", "a", "", "/", "../x", "default/../x", "\ud800", "\x00", "é",
            "x" * 3000, 1, None)
        ),
    }  # fmt: skip
    if rng.random() < 0.2:
        token = any_value(rng)
    data = json.dumps(token).encode()
    if rng.random() < 0.2:
        data = spoilt(rng, data)
    text = base64.urlsafe_b64encode(data).decode().rstrip("=" if rng.random() < 0.8 else "")
    return text + rng.choice(("",) * 8 + ("=", "!", "é", "===="))


def _write(rng: random.Random, kind: str, body: bytes, info: ResourceInfo) -> OddRequest:
    method, target = "POST", _base(info)
    if "get" in info.verbs and rng.random() < 0.5:
        method, target = "PUT", f"{target}/{rng.choice(NAMES)}"
        subresources = [n for n, s in info.subresources.items() if "update" in s.verbs]
        if subresources and rng.random() < 0.4:
            target += f"/{rng.choice(subresources)}"
    return OddRequest(method, target + _query(rng, *_WRITE_OPTIONS), {"content-type": kind}, body)


def json_body(rng: random.Random) -> OddRequest:
    info = rng.choice(KINDS)
    return _write(rng, JSON, as_json(rng, an_object(rng, info, rng.choice(NAMES))), info)


def yaml_body(rng: random.Random) -> OddRequest:
    info = rng.choice(KINDS)
    return _write(rng, YAML, as_yaml(rng, an_object(rng, info, rng.choice(NAMES))), info)


def protobuf_body(rng: random.Random) -> OddRequest:
    info = rng.choice(KINDS)
    roll = rng.random()
    if roll < 0.6:
        body = _encoded(rng, info)
        body = _spoilt_bytes(rng, body) if roll < 0.4 else body
    elif roll < 0.8:
        kind = delimited(1, info.gvk.api_version.encode()) + delimited(2, info.kind.encode())
        body = protobuf.MAGIC + delimited(1, kind) + delimited(2, _message(rng, 0))
    else:
        body = rng.choice((b"", protobuf.MAGIC, b"k8s")) + rng.randbytes(rng.randrange(60))
    return _write(rng, PROTOBUF, body, info)


def _encoded(rng: random.Random, info: ResourceInfo) -> bytes:
    """A message of what the schema takes; anything where the object has no such form."""
    try:
        return protobuf.encode_object(an_object(rng, info, rng.choice(NAMES)))
    except Exception:  # noqa: BLE001 - this is only where odd bytes come from
        return protobuf.MAGIC + rng.randbytes(30)


def _message(rng: random.Random, depth: int) -> bytes:
    parts = []
    for _ in range(rng.randrange(5)):
        number = rng.choice((0, 1, 1, 2, 2, 3, 4, 5, 9, 15, 2**20, 2**29 - 1))
        match rng.randrange(5):
            case 0:
                parts.append(tag(number, 0) + varint(rng.choice((0, 1, 2**32, 2**64 - 1))))
            case 1:
                parts.append(tag(number, rng.choice((1, 3, 4, 5, 6, 7))) + rng.randbytes(8))
            case 2:
                parts.append(delimited(number, rng.choice(WORDS).encode("utf-8", "replace")))
            case _:
                inner = _message(rng, depth + 1) if depth < 8 else b""
                parts.append(delimited(number, inner))
    if rng.random() < 0.02:
        deep = b""
        for _ in range(3000):
            deep = delimited(rng.choice((1, 2, 13)), deep)
        parts.append(deep)
    return b"".join(parts)


def _spoilt_bytes(rng: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        made[rng.randrange(len(made))] = rng.choice(
            (0, 1, 10, 18, 0x7F, 0x80, 0xFF, rng.randrange(256))
        )
    return bytes(made[: rng.randrange(len(made))]) if rng.random() < 0.2 else bytes(made)


def _patch(rng: random.Random, kind: str, body: bytes, info: ResourceInfo) -> OddRequest:
    target = f"{_base(info)}/{rng.choice(NAMES)}"
    subresources = [n for n, s in info.subresources.items() if "patch" in s.verbs]
    if subresources and rng.random() < 0.3:
        target += f"/{rng.choice(subresources)}"
    query = _query(rng, *_WRITE_OPTIONS)
    if kind == APPLY and "fieldManager" not in query:
        query += ("&" if query else "?") + "fieldManager=m"
    return OddRequest("PATCH", target + query, {"content-type": kind}, body)


def json_patch(rng: random.Random) -> OddRequest:
    operations: Any = [_operation(rng) for _ in range(rng.randrange(5))]
    if rng.random() < 0.05:
        operations = any_value(rng)
    if rng.random() < 0.02:  # A value that doubles with each copy.
        operations = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}]
        operations += [
            {"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/k{n}"}
            for n in range(40)
        ]
    return _patch(rng, JSON_PATCH, as_json(rng, operations), rng.choice(STORED))


def _operation(rng: random.Random) -> Any:
    made = {
        "op": rng.choice(("add", "remove", "replace", "move", "copy", "test", "nope", "", 1)),
        "path": _pointer(rng),
        "from": _pointer(rng),
        "value": any_value(rng),
    }
    for name in list(made):
        if rng.random() < 0.1:
            del made[name]
    return made if rng.random() < 0.95 else any_value(rng)


def _pointer(rng: random.Random) -> Any:
    if rng.random() < 0.1:
        return any_value(rng)
    steps = ("metadata", "spec", "labels", "data", "name", "-", "0", "1", "-1", "99999999999",
    "~0", "~2", "", "01",
             "annotations", "containers", "template", "kind", "apiVersion", "managedFields",
             "a")  # fmt: skip
    return "".join(f"/{s}" for s in rng.choices(steps, k=rng.randrange(5))) or rng.choice(
        ("", "/", "a")
    )


def merge_patch(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    value = an_object(rng, info, "a") if rng.random() < 0.8 else any_value(rng)
    return _patch(rng, MERGE_PATCH, as_json(rng, value), info)


def strategic_patch(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    value = an_object(rng, info, "a") if rng.random() < 0.9 else any_value(rng)
    for _ in range(rng.randrange(3)):
        _add_directive(rng, value)
    return _patch(rng, STRATEGIC, as_json(rng, value), info)


def _add_directive(rng: random.Random, value: Any) -> None:
    while isinstance(value, (dict, list)) and value and rng.random() < 0.6:
        value = rng.choice(list(value.values() if isinstance(value, dict) else value))
    if isinstance(value, list):
        value.append({"$patch": rng.choice(("delete", "replace", "merge", "nope", 1))})
    if isinstance(value, dict):
        name = rng.choice([*map(str, value), "finalizers", "containers", "x"])
        directive = rng.choice(("$patch", "$retainKeys", f"$deleteFromPrimitiveList/{name}",
                                f"$setElementOrder/{name}", "$nope"))  # fmt: skip
        value[directive] = rng.choice(
            ("delete", "replace", "merge", any_value(rng), [any_value(rng)])
        )


def apply_body(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    value = an_object(rng, info, "a")
    if rng.random() < 0.2 and isinstance(value, dict) and isinstance(value.get("metadata"), dict):
        value["metadata"]["managedFields"] = [_managed(rng) for _ in range(rng.randrange(3))]
    return _patch(rng, APPLY, as_yaml(rng, value), info)


def _managed(rng: random.Random) -> Any:
    steps = (
        "f:metadata",
        "f:spec",
        ".",
        'k:{"name":"a"}',
        "k:{",
        "v:1",
        "v:",
        "i:0",
        "i:x",
        "x:",
        "f:",
    )
    fields: dict[str, Any] = {
        rng.choice(steps): rng.choice(({}, {rng.choice(steps): {}}, any_value(rng)))
    }
    made = {"manager": "m", "operation": rng.choice(("Apply", "Update", "x")), "apiVersion": "v1",
            "fieldsType": rng.choice(("FieldsV1", "x")), "fieldsV1": fields,
            "time": a_word(rng)}  # fmt: skip
    return made if rng.random() < 0.9 else any_value(rng)


def managed_fields(rng: random.Random) -> OddRequest:
    """What an update says of who manages what."""
    info = rng.choice(STORED)
    body = {"metadata": {"managedFields": [_managed(rng) for _ in range(rng.randrange(4))]}}
    return _patch(rng, MERGE_PATCH, as_json(rng, body), info)


def listing(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    target = _base(info) + _query(rng, *_LIST_OPTIONS)
    if rng.random() < 0.3:
        target += f"{'&' if '?' in target else '?'}continue={quote(a_continue_token(rng))}"
    return OddRequest("GET", target, odd_headers(rng) if rng.random() < 0.3 else {})


def watching(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    query = _query(rng, *_LIST_OPTIONS)
    target = f"{_base(info)}{query}{'&' if query else '?'}watch=1&timeoutSeconds=1"
    return OddRequest("GET", target, odd_headers(rng) if rng.random() < 0.3 else {})


def deletion(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    target = _base(info)
    if rng.random() < 0.8:
        target += f"/{rng.choice(NAMES)}"
    options = a_struct(rng, "meta.v1.DeleteOptions")
    body = as_json(rng, options) if rng.random() < 0.7 else b""
    query = _query(rng, *_DELETE_OPTIONS) if rng.random() < 0.7 else _query(rng, *_LIST_OPTIONS)
    query += ("&" if query else "?") + "dryRun=All"
    kind = rng.choice((JSON, JSON, YAML, PROTOBUF, "text/plain", ""))
    return OddRequest("DELETE", target + query, {"content-type": kind} if kind else {}, body)


def headers(rng: random.Random) -> OddRequest:
    info = rng.choice(STORED)
    target = _base(info) if rng.random() < 0.5 else rng.choice(DOCUMENTS)
    return OddRequest(
        "GET", target + _query(rng, *_LIST_OPTIONS, "verbose", "exclude", "hash"), odd_headers(rng)
    )


DOCUMENTS: Final = (
    "/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz",
    "/livez",
    "/readyz", "/readyz/ping", "/metrics", "/openapi/v3", "/openapi/v3/apis/apps/v1",
    "/.well-known/openid-configuration", "/openid/v1/jwks", "/apis/nope/v1", "/nope",
    "/metrics/slis",
)  # fmt: skip


def path(rng: random.Random) -> OddRequest:
    """A path of odd segments."""
    pool = ("api", "apis", "v1", "apps", "namespaces", "default", "pods", "configmaps",
    "deployments", "a", "watch",
            "..", ".", "", "%2e%2e", "%2f", "a%2fb", "%00", "%zz", "%", "é", "%c3", "x" * 300,
            "proxy", "log", "exec",
            "status", "scale", "nodes", "token", "serviceaccounts", "portforward", "attach",
            "binding", "finalize",
            "services", "http:a:80", "https:a:", "a:b:c", "eviction", "%F0%9F", "resize",
            "openapi", "v3")  # fmt: skip
    segments = rng.choices(pool, k=rng.randrange(1, 9))
    if rng.random() < 0.6:
        segments = ["api", "v1", "namespaces", "default", *segments]
    method = rng.choice(
        ("GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO", "CONNECT")
    )
    query = _query(rng, "container", "command", "follow", "tailLines", "limitBytes",
    "sinceSeconds", "sinceTime",
                   "stdin", "ports", "timestamps", "previous", "path")  # fmt: skip
    body = as_json(rng, any_value(rng)) if method in {"POST", "PUT", "PATCH"} else b""
    # A proxy to a Service or node that is there would be somebody else's answer.
    kind = rng.choice((JSON, MERGE_PATCH, JSON_PATCH, STRATEGIC))
    return OddRequest(method, "/" + "/".join(segments) + query, {"content-type": kind}, body)


def subresource(rng: random.Random) -> OddRequest:
    """Bodies of what is only created: bindings, evictions, tokens, and queries of logs and exec."""
    info = rng.choice([r for r in RESOURCES if r.subresources])
    name = rng.choice(list(info.subresources))
    found = info.subresources[name]
    type_name = protobuf.schema_type(found.kind.api_version, found.kind.kind)
    body: Any = a_struct(rng, type_name) if type_name else any_value(rng)
    if isinstance(body, dict) and rng.random() < 0.9:
        body |= {"apiVersion": found.kind.api_version, "kind": found.kind.kind}
    method = rng.choice([_METHODS[v] for v in found.verbs if v in _METHODS] or ["GET"])
    kind = (
        rng.choice((JSON, JSON, MERGE_PATCH, YAML))
        if method != "PATCH"
        else rng.choice((MERGE_PATCH, APPLY))
    )
    query = _query(
        rng,
        *_WRITE_OPTIONS,
        "container",
        "command",
        "tailLines",
        "limitBytes",
        "sinceSeconds",
        "sinceTime",
    )
    target = f"{_base(info)}/{rng.choice(NAMES)}/{name}{query}"
    return OddRequest(method, target, {"content-type": kind}, as_json(rng, body))


_METHODS: Final = {"create": "POST", "update": "PUT", "patch": "PATCH", "get": "GET"}


def custom_object(rng: random.Random) -> OddRequest:
    body = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": rng.choice(NAMES)},
        "spec": rng.choice(
            (
                {"size": any_value(rng)},
                {"color": a_word(rng), "any": any_value(rng)},
                any_value(rng),
            )
        ),
        "status": any_value(rng),
    }
    roll = rng.random()
    if roll < 0.4:
        return OddRequest(
            "POST",
            WIDGETS + _query(rng, *_WRITE_OPTIONS),
            {"content-type": JSON},
            as_json(rng, body),
        )
    if roll < 0.6:
        target = f"{WIDGETS}/a{rng.choice(('', '/status', '/scale'))}"
        return OddRequest("PUT", target, {"content-type": JSON}, as_json(rng, body))
    kind = rng.choice((JSON_PATCH, MERGE_PATCH, APPLY, STRATEGIC))
    value: Any = [_operation(rng)] if kind == JSON_PATCH else body
    target = f"{WIDGETS}/a{rng.choice(('', '/status', '/scale'))}?fieldManager=m"
    return OddRequest("PATCH", target, {"content-type": kind}, as_json(rng, value))


_MAKERS: Final[tuple[Callable[[random.Random], OddRequest], ...]] = (
    json_body, json_body, json_body, yaml_body, yaml_body, protobuf_body, protobuf_body,
    json_patch, merge_patch,
    merge_patch, strategic_patch, strategic_patch, apply_body, apply_body, managed_fields, listing,
    watching, deletion,
    headers, path, subresource, custom_object,
)  # fmt: skip
