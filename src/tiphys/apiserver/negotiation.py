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
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # strconv.ParseBool
_VIEW_VERSIONS: Final = frozenset({"v1", "v1beta1"})

# Ours: headers come before anybody is known. Clients send three clauses in some 150 characters.
CLAUSES_MAX: Final = 64  # More say nothing.
REMEMBERED_CHARACTERS_MAX: Final = 1024  # Answers to longer headers are not kept.
REMEMBERED_MAX: Final = 512

Scope = Literal["object", "list", "watch", "document", "error"]


@dataclass(frozen=True, slots=True)
class MediaType:
    """The negotiated form: a serializer, and a view of the object where `as_kind` is set."""

    type: str = JSON
    as_kind: str = ""
    as_version: str = ""
    pretty: bool = False  # Whatever kind of client it is.
    stream: str = ""


@dataclass(frozen=True, slots=True)
class _Clause:
    type: str
    parameters: dict[str, str]
    quality: float


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
    if len(accept) > REMEMBERED_CHARACTERS_MAX:
        return _negotiated(accept, scope, views, produced)
    return _remembered(accept, scope, views, produced)


def _negotiated(
    accept: str, scope: Scope, views: frozenset[str], produced: tuple[str, ...]
) -> MediaType:
    clauses = _parse(accept)
    if scope != "document":  # Lists of groups are the aggregator's, behind no router.
        check_routed(accept, PRODUCED, PRODUCED + (_STREAMS if scope in {"list", "watch"} else ()))
    for clause in clauses:
        found = _accepts(clause, scope, views=views, produced=produced)
        if found is not None:
            return found
    accepted = _STREAMS if scope == "watch" else PRODUCED
    raise NotAcceptable(f"only the following media types are accepted: {', '.join(accepted)}")


_remembered: Final = lru_cache(REMEMBERED_MAX)(_negotiated)


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
    """Clauses in the order in which they are tried. Upstream: munnerz/goautoneg ParseAccept."""
    clauses: list[_Clause] = []
    for part in accept.split(",", CLAUSES_MAX)[:CLAUSES_MAX]:
        first, *parameters = part.strip(" ").split(";")
        media_type = "/".join(word.strip(" ") for word in first.split("/"))
        if media_type == "*":
            media_type = "*/*"
        if media_type.count("/") != 1 or media_type.endswith("/"):
            continue
        pairs = dict(map(_parameter, filter(_is_pair, parameters)))
        quality = _quality(pairs.pop("q")) if "q" in pairs else 1.0
        pairs = {name: value.strip(" ") for name, value in pairs.items()}
        _insert(clauses, _Clause(media_type, pairs, quality))
    return clauses


def _is_pair(parameter: str) -> bool:
    return parameter.count("=") == 1 and not parameter.endswith("=")


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(" "), value


def _quality(text: str) -> float:
    """What is no number is none at all, and comes last."""
    try:
        return float(text) if text == text.strip() else 0.0
    except ValueError:
        return 0.0


def _insert(clauses: list[_Clause], new: _Clause) -> None:
    """Among those before it. The comparison is no order, so upstream's way of sorting counts too:
    one clause after the other (Go's sort of up to twelve)."""
    at = len(clauses)
    while at and _comes_before(new, clauses[at - 1]):
        at -= 1
    clauses.insert(at, new)


def _comes_before(one: _Clause, other: _Clause) -> bool:
    (major, minor), (other_major, other_minor) = one.type.split("/"), other.type.split("/")
    return (
        one.quality > other.quality
        or (major != "*" and other_major == "*")
        or (minor != "*" and other_minor == "*")
    )


def _accepts(
    clause: _Clause, scope: Scope, *, views: frozenset[str], produced: tuple[str, ...]
) -> MediaType | None:
    for media_type in PRODUCED:
        if clause.type in {media_type, "*/*", f"{media_type.partition('/')[0]}/*"}:
            break
    else:
        return None
    parameters = clause.parameters
    pretty = parameters.get("pretty") == "1"
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


def is_plain(accept: str, user_agent: str) -> bool:
    """The client takes an object as compact JSON, without any query parameter to the contrary."""
    if len(accept) + len(user_agent) > REMEMBERED_CHARACTERS_MAX:
        return _is_plain(accept, user_agent)
    return _remembered_plain(accept, user_agent)


def _is_plain(accept: str, user_agent: str) -> bool:
    try:
        media = negotiate(accept, "object")
    except NotAcceptable:
        return False
    plain = media.type == JSON and not media.as_kind
    return plain and not wants_pretty(media, None, user_agent)


_remembered_plain: Final = lru_cache(REMEMBERED_MAX)(_is_plain)


def wants_pretty(media: MediaType, query_value: str | None, user_agent: str) -> bool:
    """The Accept parameter, then `?pretty=`, then what kind of client it is."""
    if media.pretty:
        return True
    if query_value:
        return query_value in _TRUE
    return user_agent.startswith(("curl", "Wget", "Mozilla/5.0"))
