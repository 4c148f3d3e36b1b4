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
PARAMETER_TYPES: Final = {
    "allowWatchBookmarks": "boolean",
    "force": "boolean",
    "gracePeriodSeconds": "integer",
    "limit": "integer",
    "orphanDependents": "boolean",
    "sendInitialEvents": "boolean",
    "timeoutSeconds": "integer",
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
    answer: str = "object"  # "object", "list" or "status"
    query: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ("*/*",)

    @property
    def path_parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


_METHODS: Final = {
    "get": ("get", "get", "", "object", ()),
    "update": ("put", "put", "object", "object", _WRITE_PARAMETERS),
    "patch": ("patch", "patch", "patch", "object", (*_WRITE_PARAMETERS, "force")),
    "delete": ("delete", "delete", "options", "status", _DELETE_PARAMETERS),
    "list": ("get", "list", "", "list", _LIST_PARAMETERS),
    "create": ("post", "post", "object", "object", _WRITE_PARAMETERS),
    "deletecollection": (
        "delete",
        "deletecollection",
        "options",
        "status",
        (*_LIST_PARAMETERS, *_DELETE_PARAMETERS),
    ),
}
_COLLECTION: Final = ("list", "create", "deletecollection")
_ITEM: Final = ("get", "update", "patch", "delete")
_CONNECT: Final = ("get", "post", "put", "delete", "patch")


def operations(infos: Iterable[ResourceInfo]) -> Iterator[Operation]:
    for info in infos:
        base = info.gvr.path
        scoped = f"{base}/namespaces/{{namespace}}" if info.namespaced else base
        if info.namespaced and "list" in info.verbs:
            yield _operation(info, f"{base}/{info.plural}", "list", "ForAllNamespaces")
        for verb in _COLLECTION:
            if verb in info.verbs:
                yield _operation(info, f"{scoped}/{info.plural}", verb, "")
        item = f"{scoped}/{info.plural}/{{name}}"
        for verb in _ITEM:
            if verb in info.verbs:
                yield _operation(info, item, verb, "")
        for sub in info.subresources.values():
            yield from _subresource(info, sub, f"{item}/{sub.name}")


def _operation(info: ResourceInfo, path: str, verb: str, suffix: str) -> Operation:
    method, action, body, answer, query = _METHODS[verb]
    scope = "Namespaced" if "{namespace}" in path else ""
    words = {
        "list": "list", "create": "create", "deletecollection": "deleteCollection", "get": "read",
        "update": "replace", "patch": "patch", "delete": "delete",
    }  # fmt: skip
    return Operation(
        path=path,
        method=method,
        action=action,
        kind=info.gvk,
        id=f"{words[verb]}{_group_word(info)}{scope}{info.kind}{suffix}",
        body=body,
        answer=answer,
        query=query,
        consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
    )


def _group_word(info: ResourceInfo) -> str:
    group = info.group.removesuffix(".k8s.io").split(".")[0] or "core"
    return f"{group[0].upper()}{group[1:]}{info.version.upper()}"


def _subresource(info: ResourceInfo, sub: SubresourceInfo, path: str) -> Iterator[Operation]:
    scope = "Namespaced" if info.namespaced else ""
    word = f"{_group_word(info)}{scope}{info.kind}{sub.name.capitalize()}"
    if sub.kind.kind.endswith("Options") or sub.name == "log":
        methods = ("get",) if sub.name == "log" else _CONNECT
        for method in methods if sub.name == "proxy" else methods[:2]:
            yield Operation(
                path, method, "connect", sub.kind, f"connect{method.capitalize()}{word}",
                answer="text",
            )  # fmt: skip
        return
    for verb in sub.verbs:
        method, action, body, answer, query = _METHODS[verb]
        yield Operation(
            path,
            method,
            action,
            sub.kind,
            f"{verb}{word}",
            body=body,
            answer=answer,
            query=query,
            consumes=PATCH_TYPES if verb == "patch" else ("*/*",),
        )
