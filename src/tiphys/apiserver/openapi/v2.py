"""OpenAPI v2 (Swagger) of all built-in kinds, as JSON and as protobuf, built when first asked.

Upstream: api/openapi-spec/swagger.json, kube-openapi pkg/handler.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from tiphys.api.meta import Obj
from tiphys.api.resources import GROUP_VERSIONS, RESOURCES
from tiphys.api.schema import SCHEMA
from tiphys.apiserver.openapi import discovery_paths
from tiphys.apiserver.openapi.discovery_paths import DiscoveryOperation
from tiphys.apiserver.openapi.paths import OBJECT_TYPES, PARAMETER_TYPES, Operation, operations
from tiphys.apiserver.openapi.schemas import (
    PATCH,
    PATCH_BODY,
    Definitions,
    definition_name,
    reachable,
    schema_type_of,
    special_definitions,
)
from tiphys.apiserver.openapi.v2_protobuf import encode

PROTOBUF_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_DEFINITIONS = Definitions("#/definitions/", wraps_refs=False)


def document(version: str) -> Obj:
    """The whole document; version is the server's gitVersion."""
    roots = [n for n in SCHEMA.types if SCHEMA.types[n].is_root]
    definitions = {definition_name(n): _DEFINITIONS.of(n) for n in reachable(roots)}
    definitions[PATCH] = dict(PATCH_BODY)
    paths: dict[str, Obj] = {one.path: {"get": _discovery(one)} for one in _discoveries()}
    for operation in operations(RESOURCES):
        path = paths.setdefault(operation.path, {})
        path[operation.method] = operation_of(operation)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "definitions": definitions | special_definitions(),
    }


def _discoveries() -> list[DiscoveryOperation]:
    groups = sorted({v.group for v in GROUP_VERSIONS if v.group})
    return [
        *discovery_paths.FIXED.values(),
        *map(discovery_paths.of_group, groups),
        *map(discovery_paths.of_version, GROUP_VERSIONS),
    ]


def _discovery(operation: DiscoveryOperation) -> Obj:
    schema: Obj = {"type": "string"}
    if operation.answer:
        schema = _DEFINITIONS.ref(definition_name(operation.answer))
    return {
        "operationId": operation.id,
        "description": operation.description,
        "tags": [operation.tag],
        "consumes": ["*/*"],
        "parameters": [],
        "produces": list(OBJECT_TYPES),
        "schemes": ["https"],
        "responses": {
            "200": {"description": "OK", "schema": schema},
            "401": {"description": "Unauthorized"},
        },
    }


def operation_of(operation: Operation) -> Obj:
    """One method of one path."""
    parameters = [_path_parameter(name) for name in operation.path_parameters]
    parameters += [_query_parameter(name) for name in operation.query]
    if body := _body(operation):
        parameters.insert(0, body)
    made: Obj = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "consumes": list(operation.consumes),
        "produces": ["*/*"] if operation.action == "connect" else list(operation.produces),
        "schemes": ["https"],
        "parameters": parameters,
        "responses": _responses(operation),
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": dict(operation.kind._asdict()),
    }
    return made


def _path_parameter(name: str) -> Obj:
    return {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True}


def _query_parameter(name: str) -> Obj:
    kind = PARAMETER_TYPES.get(name, "string")
    return {"name": name, "in": "query", "type": kind, "uniqueItems": True}


def _ref(operation: Operation, suffix: str = "") -> Obj | None:
    group, version, kind = operation.kind
    name = schema_type_of(group, version, kind + suffix)
    return None if name is None else _DEFINITIONS.ref(definition_name(name))


def _body(operation: Operation) -> Obj | None:
    match operation.body:
        case "object":
            schema = _ref(operation)
        case "options":
            schema = _DEFINITIONS.ref(definition_name("meta.v1.DeleteOptions"))
        case "patch":
            schema = _DEFINITIONS.ref(PATCH)
        case _:
            schema = None
    if schema is None:
        return None
    required = operation.body != "options"
    made: Obj = {"name": "body", "in": "body", "schema": schema}
    return made | {"required": True} if required else made


def _responses(operation: Operation) -> Obj:
    schema: Obj | None = {"type": "string"}
    match operation.answer:
        case "object":
            schema = _ref(operation)
        case "list":
            schema = _ref(operation, "List")
        case "status":
            schema = _DEFINITIONS.ref(definition_name("meta.v1.Status"))
        case "event":
            schema = _DEFINITIONS.ref(definition_name("meta.v1.WatchEvent"))
    shown = {"schema": schema} if schema else {}
    answers: Obj = {code: {"description": told} | shown for code, told in operation.answers}
    return answers | {"401": {"description": "Unauthorized"}}


def merged(version: str, more: Obj) -> Obj:
    """The whole document with further `paths` and `definitions`."""
    whole = document(version)
    return whole | {name: whole[name] | more[name] for name in ("paths", "definitions")}


@lru_cache(maxsize=2)
def json_bytes(version: str) -> bytes:
    return orjson.dumps(document(version))


@lru_cache(maxsize=2)
def protobuf_bytes(version: str) -> bytes:
    return encode(document(version))


def definitions_of(names: Sequence[str]) -> dict[str, Any]:
    """Bodies of single definitions, for tests and for `explain`."""
    return {definition_name(n): _DEFINITIONS.of(n) for n in names}
