"""What a request is about, read from its method and path. Authorization and routing use it.

Upstream: apiserver pkg/endpoints/request/requestinfo.go.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
SEGMENTS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """For a path that is no resource only `verb` (the method in lower case) and `path` count."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    node: str = ""  # A list's or watch's spec.nodeName, as the field selector says it.
    rest: tuple[str, ...] = ()  # Segments behind the subresource (a proxy's path).
    is_legacy_watch: bool = False

    @property
    def is_own_namespace(self) -> bool:
        """A Namespace's path names it twice: as the object and as where it lies."""
        return self.resource == "namespaces" and self.namespace == self.name

    @property
    def qualified_resource(self) -> str:
        """`pods`, `deployments.apps`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource


def parse_request(method: str, raw_path: str, query: str = "") -> RequestInfo:
    """Never raises: a path that is no resource's is a plain path."""
    segments = [unquote(s) for s in raw_path.strip("/").split("/", SEGMENTS_MAX)]
    plain = RequestInfo(unquote(raw_path), method.lower())
    if len(segments) < 3 or segments[0] not in {"api", "apis"}:
        return plain
    if segments[0] == "api":
        group, version, rest = "", segments[1], segments[2:]
    elif len(segments) < 4:
        return plain
    else:
        group, version, rest = segments[1], segments[2], segments[3:]
    verb = _VERBS.get(method, "")
    legacy_watch = rest[0] == "watch" and len(rest) > 1
    if legacy_watch:
        verb, rest = "watch", rest[1:]
    namespace, rest = _split_namespace(rest)
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    name, verb, node = _collection(verb, name, query)
    return RequestInfo(
        path=plain.path,
        verb=verb,
        is_resource=True,
        group=group,
        version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        node=node,
        rest=tuple(rest[3:]),
        is_legacy_watch=legacy_watch,
    )


def _split_namespace(rest: list[str]) -> tuple[str, list[str]]:
    if rest[0] != "namespaces" or len(rest) == 1:
        return "", rest
    if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        return rest[1], rest[2:]
    return rest[1], rest


def _collection(verb: str, name: str, query: str) -> tuple[str, str, str]:
    """(name, verb, node): a collection's verbs; one name chosen by field selector is the name."""
    if name and verb != "watch":
        return name, verb, ""
    if not name and verb == "delete":
        return name, "deletecollection", ""
    if verb not in {"get", "watch"} or (not query and verb == "get"):
        return name, "list" if verb == "get" else verb, ""
    params = parse_qs(query, keep_blank_values=True)
    if verb == "get":
        watching = params.get("watch", [""])[0] in {"true", "1", "t", "T", "TRUE", "True"}
        verb = "watch" if watching else "list"
    fields = _equalities(params.get("fieldSelector", [""])[0])
    return name or fields.get("metadata.name", ""), verb, fields.get("spec.nodeName", "")


def _equalities(selector: str) -> dict[str, str]:
    """The terms of a field selector that name one value; of two for a field the first."""
    found: dict[str, str] = {}
    for term in selector.split(","):
        field, equals, value = term.partition("=")
        if equals and not field.endswith("!"):
            found.setdefault(field, value.removeprefix("="))
    return found
