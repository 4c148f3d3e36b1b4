"""Which form of an answer a client wants, from Accept and `?pretty`.

Two steps, as upstream has them: the route must produce one of the types at all (the router's own
406), then the object's serializers are tried clause by clause, with their `as`, `g` and `v`.
Upstream: apiserver pkg/endpoints/handlers/negotiation/negotiate.go; go-restful's route selection.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from tiphys.api.errors import NotAcceptable

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
PRODUCED: Final = (JSON, YAML, PROTOBUF)
OF_CUSTOM: Final = (JSON, YAML)  # What is defined has no protobuf form; its metadata has.
_STREAMS: Final = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
_META_GROUP: Final = "meta.k8s.io"
VIEWS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
NO_VIEWS: Final[frozenset[str]] = frozenset()
NO_TABLES: Final = VIEWS - {"Table"}  # Of kinds that are asked and not stored.
_VIEW_VERSIONS: Final = frozenset({"v1", "v1beta1"})

Scope = Literal["object", "list", "watch", "document", "error"]


@dataclass(frozen=True, slots=True)
class MediaType:
    """The negotiated form: a serializer, and a view of the object where `as_kind` is set."""

    type: str = JSON
    as_kind: str = ""
    as_version: str = ""
    pretty: bool | None = None  # None: as the client's kind suggests.
    stream: str = ""


@dataclass(frozen=True, slots=True)
class _Clause:
    type: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=512)
def negotiate(
    accept: str,
    scope: Scope,
    *,
    views: frozenset[str] = VIEWS,
    produced: tuple[str, ...] = PRODUCED,
) -> MediaType:
    """The form to answer in. Raises NotAcceptable.

    `views`: other views that are on offer. `produced`: the forms of the object itself.
    """
    if not accept:
        return MediaType()
    clauses = _parse(accept)
    if scope != "document":  # Documents have handlers of their own, behind no router.
        check_routed(accept, PRODUCED, PRODUCED + (_STREAMS if scope in {"list", "watch"} else ()))
    for clause in clauses:
        found = _accepts(clause, scope, views=views, produced=produced)
        if found is not None:
            return found
    accepted = _STREAMS if scope == "watch" else PRODUCED
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(accepted)}")


def check_routed(accept: str, produced: tuple[str, ...], offered: tuple[str, ...]) -> None:
    """The router's question: does the route make any of these types? Raises NotAcceptable."""
    if accept and not any(c.type in {"*/*", *produced} for c in _as_router_reads(accept)):
        raise NotAcceptable(
            f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}",
            details={},
        )


def _as_router_reads(accept: str) -> list[_Clause]:
    return [_Clause(part.partition(";")[0].strip(), {}, 1.0) for part in accept.split(",") if part]


def _parse(accept: str) -> list[_Clause]:
    """Clauses by falling quality, the order of the header among equals."""
    clauses = []
    for part in accept.split(","):
        first, *parameters = (p.strip() for p in part.split(";"))
        if not first:
            continue
        pairs = {
            k.strip().lower(): v.strip().strip('"')
            for k, _, v in (p.partition("=") for p in parameters)
        }
        try:
            quality = float(pairs.pop("q", "1"))
        except ValueError:
            quality = 1.0
        clauses.append(_Clause(first.lower(), pairs, quality))
    return sorted(clauses, key=lambda c: -c.quality)


def _accepts(
    clause: _Clause, scope: Scope, *, views: frozenset[str], produced: tuple[str, ...]
) -> MediaType | None:
    for media_type in PRODUCED:
        if clause.type in {media_type, "*/*", f"{media_type.partition('/')[0]}/*"}:
            break
    else:
        return None
    parameters = clause.parameters
    pretty = {"1": True, "true": True, "0": False, "false": False}.get(parameters.get("pretty", ""))
    stream = parameters.get("stream", "")
    if scope == "watch" and (stream not in {"", "watch"} or media_type == YAML):
        return None
    if scope == "error" and stream:
        return None
    served_version = parameters.get("sv", "")
    if served_version and (served_version != "v1" or scope in {"document", "error"}):
        return None
    as_kind = parameters.get("as", "")
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if as_kind or group or version:
        if as_kind not in views or group != _META_GROUP or version not in _VIEW_VERSIONS:
            return None
        if as_kind == "Table" and media_type == PROTOBUF:
            return None
        return MediaType(media_type, as_kind, version, pretty, stream)
    if media_type not in produced:
        return None
    return MediaType(media_type, pretty=pretty, stream=stream)


def error_media(accept: str) -> MediaType:
    """The form of an error: the client's if possible, JSON otherwise."""
    try:
        return negotiate(accept, "error", views=NO_VIEWS)
    except NotAcceptable:
        return MediaType()


@lru_cache(maxsize=1024)
@lru_cache(maxsize=512)
def is_plain(accept: str, user_agent: str) -> bool:
    """The client takes an object as compact JSON, without any query parameter to the contrary."""
    try:
        media = negotiate(accept, "object")
    except NotAcceptable:
        return False
    plain = media.type == JSON and not media.as_kind
    return plain and not wants_pretty(media, None, user_agent)


def wants_pretty(media: MediaType, query_value: str | None, user_agent: str) -> bool:
    """`?pretty=` first, then the Accept parameter, then what kind of client it is."""
    if query_value is not None:
        return query_value.lower() in {"1", "true", "t", ""}
    if media.pretty is not None:
        return media.pretty
    return user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))
