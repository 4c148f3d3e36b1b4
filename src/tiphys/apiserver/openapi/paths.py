"""The operations of every resource, once, in a form that v2 and v3 render.

Upstream: apiserver pkg/endpoints/installer.go, kube-openapi pkg/builder.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tiphys.api.meta import GroupVersionKind
from tiphys.api.resources import ResourceInfo, SubresourceInfo

PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
OBJECT_TYPES: Final = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
)
_STREAM_TYPES: Final = (
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
)
_STREAMED: Final = frozenset({"list", "watch", "watchlist"})
_DONE: Final = (("200", "OK"),)
_CREATED: Final = (*_DONE, ("201", "Created"))
_ACCEPTED: Final = ("202", "Accepted")
_ANSWERS: Final = {
    "post": (*_CREATED, _ACCEPTED),
    "put": _CREATED,
    "patch": _CREATED,
    "delete": (*_DONE, _ACCEPTED),
}
_WRITE_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation")
_DELETE_PARAMETERS: Final = (
    "dryRun",
    "gracePeriodSeconds",
    "orphanDependents",
    "propagationPolicy",
)
_LIST_PARAMETERS: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_OF_WATCHES: Final = frozenset({"allowWatchBookmarks", "watch"})
_STREAM_PARAMETERS: Final = ("container", "stderr", "stdin", "stdout", "tty")
# Of subresources that are no object. Source: core/v1 PodLogOptions, PodExecOptions and the like.
_OPTIONS: Final = {
    "attach": _STREAM_PARAMETERS,
    "exec": ("command", *_STREAM_PARAMETERS),
    "log": (
        "container",
        "follow",
        "insecureSkipTLSVerifyBackend",
        "limitBytes",
        "previous",
        "sinceSeconds",
        "stream",
        "tailLines",
        "timestamps",
    ),
    "portforward": ("ports",),
    "proxy": ("path",),
}
PARAMETER_TYPES: Final = {
    "allowWatchBookmarks": "boolean",
    "follow": "boolean",
    "force": "boolean",
    "gracePeriodSeconds": "integer",
    "insecureSkipTLSVerifyBackend": "boolean",
    "limit": "integer",
    "limitBytes": "integer",
    "orphanDependents": "boolean",
    "ports": "integer",
    "previous": "boolean",
    "sendInitialEvents": "boolean",
    "sinceSeconds": "integer",
    "stderr": "boolean",
    "stdin": "boolean",
    "stdout": "boolean",
    "tailLines": "integer",
    "timeoutSeconds": "integer",
    "timestamps": "boolean",
    "tty": "boolean",
    "watch": "boolean",
}  # All others are strings.


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `body` and `answer` are kinds, `action` upstream's word."""

    path: str
    method: str
    action: str
    kind: GroupVersionKind
    id: str
    body: str = ""  # "", "object", "options" or "patch"
    answer: str = "object"  # "object", "list", "status", "event" or "text"
    query: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ("*/*",)
    tag: str = ""  # What it is filed under: `apps_v1`.

    @property
    def produces(self) -> tuple[str, ...]:
        """What an answer may be, for an object or list."""
        return OBJECT_TYPES + (_STREAM_TYPES if self.action in _STREAMED else ())

    @property
    def answers(self) -> tuple[tuple[str, str], ...]:
        """Codes of success and what they are called."""
        return _ANSWERS.get(self.action, _DONE)

    @property
    def parameters(self) -> list[str]:
        """Of the path and the query, by name; what is connected is no document."""
        pretty = () if self.action == "connect" else ("pretty",)
        return sorted({*self.path_parameters, *self.query, *pretty})

    @property
    def path_parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


# verb -> (method, action, body, answer, query, the verb in an id)
_METHODS: Final = {
    "get": ("get", "get", "", "object", (), "read"),
    "update": ("put", "put", "object", "object", _WRITE_PARAMETERS, "replace"),
    "patch": ("patch", "patch", "patch", "object", (*_WRITE_PARAMETERS, "force"), "patch"),
    "delete": ("delete", "delete", "options", "status", _DELETE_PARAMETERS, "delete"),
    "list": ("get", "list", "", "list", _LIST_PARAMETERS, "list"),
    "create": ("post", "post", "object", "object", _WRITE_PARAMETERS, "create"),
    "deletecollection": (
        "delete",
        "deletecollection",
        "options",
        "status",
        tuple(sorted({*_LIST_PARAMETERS, *_DELETE_PARAMETERS} - _OF_WATCHES)),
        "delete",
    ),
    "watch": ("get", "watch", "", "event", _LIST_PARAMETERS, "watch"),
    "watchlist": ("get", "watchlist", "", "event", _LIST_PARAMETERS, "watch"),
}
_COLLECTION: Final = ("list", "create", "deletecollection")
_ITEM: Final = ("get", "update", "patch", "delete")
_CONNECT: Final = ("get", "post")
_PROXY: Final = ("get", "post", "put", "delete", "patch", "head", "options")


def operations(infos: Iterable[ResourceInfo]) -> Iterator[Operation]:
    for info in infos:
        base = info.gvr.path
        scoped = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
        if info.namespaced and "list" in info.verbs:
            yield _operation(info, f"{base}/{info.plural}", "list", "ForAllNamespaces")
        for verb in _COLLECTION:
            if verb in info.verbs:
                yield _operation(info, f"{scoped}/{info.plural}", verb)
        item = f"{scoped}/{info.plural}/{{name}}"
        for verb in _ITEM:
            if verb in info.verbs:
                yield _operation(info, item, verb)
        if "watch" in info.verbs:
            yield from _watches(info)
        for sub in info.subresources.values():
            yield from _subresource(info, sub, f"{item}/{sub.name}")


def _watches(info: ResourceInfo) -> Iterator[Operation]:
    """The paths of before `?watch=true`, which are still served."""
    base = f"{info.gvr.path}/watch"
    scoped = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
    if info.namespaced:
        yield _operation(info, f"{base}/{info.plural}", "watchlist", "ListForAllNamespaces")
    yield _operation(info, f"{scoped}/{info.plural}", "watchlist", "List")
    yield _operation(info, f"{scoped}/{info.plural}/{{name}}", "watch")


def _operation(info: ResourceInfo, path: str, verb: str, suffix: str = "") -> Operation:
    method, action, body, answer, query, word = _METHODS[verb]
    scope = "Namespaced" if "{namespace}" in path else ""
    collection = "Collection" if verb == "deletecollection" else ""
    return Operation(
        path=path,
        method=method,
        action=action,
        kind=info.gvk,
        id=f"{word}{group_word(info.group, info.version)}{collection}{scope}{info.kind}{suffix}",
        body=body,
        answer=answer,
        query=query,
        consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
        tag=tag_of(info.group, info.version),
    )


def tag_of(group: str, version: str = "") -> str:
    """`core_v1`, `rbacAuthorization_v1`, `apps`."""
    word = group_word(group)
    return f"{word[0].lower()}{word[1:]}{'_' if version else ''}{version}"


def group_word(group: str, version: str = "") -> str:
    """`CoreV1`, `RbacAuthorizationV1`: how upstream's ids name a group and version."""
    parts = group.removesuffix(".k8s.io").split(".") if group else ["core"]
    return "".join(part[0].upper() + part[1:] for part in parts) + version.upper()


def _subresource(info: ResourceInfo, sub: SubresourceInfo, path: str) -> Iterator[Operation]:
    group = group_word(info.group, info.version)
    target = f"{'Namespaced' if info.namespaced else ''}{info.kind}{sub.name.capitalize()}"
    if sub.kind.kind.endswith("Options"):
        yield from _connections(info, sub, path, target)
        return
    for verb in sub.verbs:
        method, action, body, answer, query, word = _METHODS[verb]
        yield Operation(
            path,
            method,
            action,
            sub.kind,
            f"{word}{group}{target}",
            body=body,
            answer="text" if sub.name == "log" else answer,
            query=_OPTIONS.get(sub.name, query),
            consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
            tag=tag_of(info.group, info.version),
        )


def _connections(
    info: ResourceInfo, sub: SubresourceInfo, path: str, target: str
) -> Iterator[Operation]:
    """Streams and proxies; a proxy takes every method, and a path behind it."""
    group = group_word(info.group, info.version)
    paths = [(path, "")]
    if sub.name == "proxy":
        paths.append((f"{path}/{{path}}", "WithPath"))
    for where, suffix in paths:
        for method in _PROXY if sub.name == "proxy" else _CONNECT:
            yield Operation(
                where,
                method,
                "connect",
                sub.kind,
                f"connect{group}{method.capitalize()}{target}{suffix}",
                answer="text",
                query=_OPTIONS[sub.name],
                tag=tag_of(info.group, info.version),
            )
