"""An OpenAPI v2 document in the protobuf form that older clients read.

Only what our documents contain is encoded. Source: gnostic openapiv2/OpenAPIv2.proto.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.codec.wire import VARINT, delimited, tag, varint

_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_SCHEMA_TEXTS: Final = {"$ref": 1, "format": 2, "title": 3, "description": 4, "pattern": 13}


def encode(document: Obj) -> bytes:
    """message Document."""
    return b"".join(
        [
            _text(1, document["swagger"]),
            delimited(
                2, _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
            ),
            delimited(8, _paths(document["paths"])),
            delimited(9, _named_schemas(document["definitions"])),
        ]
    )


def _text(number: int, value: str) -> bytes:
    return delimited(number, value.encode()) if value else b""


def _texts(number: int, values: Sequence[str]) -> bytes:
    return b"".join([delimited(number, v.encode()) for v in values])


def _true(number: int, value: Any) -> bytes:
    return tag(number, VARINT) + varint(1) if value else b""


def _named(number: int, name: str, value: bytes) -> bytes:
    """A repeated {1 name, 2 value} message."""
    return delimited(number, delimited(1, name.encode()) + delimited(2, value))


def _extensions(number: int, body: Mapping[str, Any]) -> bytes:
    """`x-...` members, their values as YAML, which JSON is."""
    return b"".join(
        [
            _named(number, name, delimited(2, orjson.dumps(value) + b"\n"))
            for name, value in body.items()
            if name.startswith("x-")
        ]
    )


def _paths(paths: Mapping[str, Obj]) -> bytes:
    return b"".join([_named(2, path, _path_item(item)) for path, item in sorted(paths.items())])


def _path_item(item: Obj) -> bytes:
    return b"".join(
        [
            delimited(_METHODS[m], _operation(item[m]))
            for m in sorted(item, key=lambda m: _METHODS[m])
        ]
    )


def _operation(operation: Obj) -> bytes:
    return b"".join(
        [
            _texts(1, operation["tags"]),
            _text(5, operation["operationId"]),
            _texts(6, operation["produces"]),
            _texts(7, operation["consumes"]),
            *[delimited(8, delimited(1, _parameter(p))) for p in operation["parameters"]],
            delimited(9, _responses(operation["responses"])),
            _texts(10, operation["schemes"]),
            _extensions(13, operation),
        ]
    )


def _parameter(parameter: Obj) -> bytes:
    """message Parameter {1 body | 2 non-body {3 query | 4 path}}."""
    if parameter["in"] == "body":
        body = _text(2, "body") + _text(3, "body") + _true(4, parameter.get("required"))
        return delimited(1, body + delimited(5, _schema(parameter["schema"])))
    head = _true(1, parameter.get("required")) + _text(2, parameter["in"])
    if parameter["in"] == "path":
        rest = _text(4, parameter["name"]) + _text(5, parameter["type"])
        return delimited(2, delimited(4, head + rest + _true(19, parameter.get("uniqueItems"))))
    rest = _text(4, parameter["name"]) + _text(6, parameter["type"])
    return delimited(2, delimited(3, head + rest + _true(20, parameter.get("uniqueItems"))))


def _responses(responses: Mapping[str, Obj]) -> bytes:
    return b"".join([_named(1, code, delimited(1, _response(r))) for code, r in responses.items()])


def _response(response: Obj) -> bytes:
    made = _text(1, response["description"])
    if "schema" in response:
        made += delimited(2, delimited(1, _schema(response["schema"])))
    return made


def _named_schemas(schemas: Mapping[str, Obj]) -> bytes:
    return b"".join([_named(1, name, _schema(body)) for name, body in sorted(schemas.items())])


def _schema(body: Obj) -> bytes:
    parts = [_text(number, body[name]) for name, number in _SCHEMA_TEXTS.items() if name in body]
    parts.append(_texts(19, body.get("required", ())))
    if "additionalProperties" in body:
        parts.append(delimited(21, delimited(1, _schema(body["additionalProperties"]))))
    if "type" in body:
        parts.append(delimited(22, _text(1, body["type"])))
    if "items" in body:
        parts.append(delimited(23, delimited(1, _schema(body["items"]))))
    if "properties" in body:
        parts.append(delimited(25, _named_schemas(body["properties"])))
    parts.append(_extensions(31, body))
    return b"".join(parts)
