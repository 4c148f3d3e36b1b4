"""OpenAPI v3: an index and a document for each group, version and other root, built when asked.

Upstream: kube-openapi pkg/handler3, pkg/builder3.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson

from tiphys.api.meta import Obj
from tiphys.api.resources import GROUP_VERSIONS, RESOURCES, GroupVersionInfo, ResourceInfo
from tiphys.apiserver.openapi import discovery_paths
from tiphys.apiserver.openapi.descriptions import NOTHING, descriptions_of
from tiphys.apiserver.openapi.discovery_paths import DiscoveryOperation
from tiphys.apiserver.openapi.paths import OBJECT_TYPES, PARAMETER_TYPES, Operation, operations
from tiphys.apiserver.openapi.schemas import (
    PATCH,
    PATCH_BODY,
    Definitions,
    definition_name,
    reachable,
    schema_type_of,
    special_definitions_of_v3,
)

_DEFINITIONS: Final = Definitions("#/components/schemas/", wraps_refs=True)


def path_of(version: GroupVersionInfo) -> str:
    """`api/v1`, `apis/apps/v1`: the key in the index and the end of the document's URL."""
    return f"apis/{version.api_version}" if version.group else f"api/{version.version}"


@lru_cache(maxsize=2)
def index_bytes(
    version: str, others: tuple[str, ...] = (), custom: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """`/openapi/v3`; version is the server's gitVersion, which the hashes hang on.

    custom: (path, hash) of the documents of custom resources.
    others: paths of group versions that other servers describe, `/apis/metrics.k8s.io/v1beta1`.
    """
    paths = {
        path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={document_hash(path, version)}"}
        for path in document_paths()
    }
    paths |= {
        path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={hash_}"} for path, hash_ in custom
    }
    paths |= {p.strip("/"): {"serverRelativeURL": f"/openapi/v3{p}"} for p in others}
    return orjson.dumps({"paths": paths})


def document_paths() -> list[str]:
    """The documents that there are: `api`, `api/v1`, `apis`, `apis/apps`, `apis/apps/v1` ..."""
    groups = {f"apis/{v.group}" for v in GROUP_VERSIONS if v.group}
    return sorted({*discovery_paths.FIXED, *groups, *map(path_of, GROUP_VERSIONS)})


@lru_cache(maxsize=128)
def document_hash(path: str, version: str) -> str:
    """What tells clients that their copy is old.

    Built-in documents change only with the server's version, so they need not be built for it.
    """
    return hashlib.sha512(f"{version} {path}".encode()).hexdigest().upper()


@lru_cache(maxsize=128)
def document_bytes(path: str, version: str) -> bytes | None:
    """`/openapi/v3/apis/apps/v1`, path being `apis/apps/v1`; None for one that is not there."""
    if path not in document_paths():
        return None
    found = next((v for v in GROUP_VERSIONS if path_of(v) == path), None)
    if found is None:
        root = discovery_paths.FIXED.get(path)
        root = root or discovery_paths.of_group(path.removeprefix("apis/"))
        return orjson.dumps(document([], [root], version))
    infos = [r for r in RESOURCES if (r.group, r.version) == (found.group, found.version)]
    return orjson.dumps(document(infos, [discovery_paths.of_version(found)], version))


def document(
    infos: Sequence[ResourceInfo], discovery: Sequence[DiscoveryOperation], version: str
) -> Obj:
    paths: dict[str, Obj] = {one.path: {"get": _discovery(one)} for one in discovery}
    roots = {"meta.v1.Status", "meta.v1.DeleteOptions", "meta.v1.WatchEvent"} if infos else set()
    roots |= {one.answer for one in discovery if one.answer}
    for operation in operations(infos):
        item = paths.setdefault(operation.path, {})
        item[operation.method] = _operation(operation)
        for suffix in ("", "List"):
            if name := _type_name(operation, suffix):
                roots.add(name)
    for item in paths.values():
        _share_parameters(item)
    types = reachable(roots)
    texts = descriptions_of(types)
    schemas = {definition_name(n): _DEFINITIONS.of(n, texts.get(n, NOTHING)) for n in types}
    schemas[PATCH] = dict(PATCH_BODY)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "components": {"schemas": schemas | special_definitions_of_v3()},
    }


def _type_name(operation: Operation, suffix: str = "") -> str | None:
    group, version, kind = operation.kind
    return schema_type_of(group, version, kind + suffix)


def _operation(operation: Operation) -> Obj:
    made: Obj = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "parameters": [_parameter(name, operation) for name in operation.parameters],
        "responses": {code: _answer(operation, told) for code, told in operation.answers}
        | {"401": {"description": "Unauthorized"}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": dict(operation.kind._asdict()),
    }
    if body := _body(operation):
        made["requestBody"] = {"content": {t: {"schema": body} for t in operation.consumes}}
        if operation.body != "options":
            made["requestBody"]["required"] = True
    return made


def _share_parameters(item: Obj) -> None:
    """What all methods of a path take is said once, for the path."""
    lists = [method.pop("parameters", []) for method in item.values()]
    shared = [one for one in lists[0] if all(one in others for others in lists)]
    for method, own in zip(list(item.values()), lists, strict=True):
        if left := [one for one in own if one not in shared]:
            method["parameters"] = left
    if shared:
        item["parameters"] = shared


def _parameter(name: str, operation: Operation) -> Obj:
    schema = {"type": PARAMETER_TYPES.get(name, "string"), "uniqueItems": True}
    if name in operation.path_parameters:
        return {"name": name, "in": "path", "required": True, "schema": schema}
    return {"name": name, "in": "query", "schema": schema}


def _body(operation: Operation) -> Obj | None:
    match operation.body:
        case "object":
            name = _type_name(operation)
        case "options":
            name = "meta.v1.DeleteOptions"
        case "patch":
            return _DEFINITIONS.ref(PATCH)
        case _:
            return None
    return None if name is None else _DEFINITIONS.ref(definition_name(name))


def _answer(operation: Operation, told: str) -> Obj:
    match operation.answer:
        case "object":
            name = _type_name(operation)
        case "list":
            name = _type_name(operation, "List")
        case "status":
            name = "meta.v1.Status"
        case "event":
            name = "meta.v1.WatchEvent"
        case _:
            name = None
    return _answer_of(name, operation.produces, told)


def _answer_of(name: str | None, produces: Sequence[str], told: str = "OK") -> Obj:
    """A type of the schema, or a text."""
    if not name:
        return {"description": told, "content": {"*/*": {"schema": {"type": "string"}}}}
    schema = _DEFINITIONS.ref(definition_name(name))
    return {"description": told, "content": {t: {"schema": schema} for t in produces}}


def _discovery(operation: DiscoveryOperation) -> Obj:
    return {
        "operationId": operation.id,
        "description": operation.description,
        "tags": [operation.tag],
        "responses": {
            "200": _answer_of(operation.answer, OBJECT_TYPES),
            "401": {"description": "Unauthorized"},
        },
    }
