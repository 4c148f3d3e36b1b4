"""A table of protobuf messages, enums and gRPC methods, parsed from text.

The second line of each table (cri/messages.txt, storage/etcd/messages.txt) describes the format.
"""

import re
from dataclasses import dataclass, field
from typing import Final

SCALARS: Final = {
    "s": "string",
    "b": "bytes",
    "t": "bool",
    "i": "int32",
    "l": "int64",
    "u": "uint32",
    "ul": "uint64",
    "d": "double",
}
_METHOD: Final = re.compile(r"(\w+)\((stream )?(\w+)\)->(stream )?(\w+)$")
_FIELD: Final = re.compile(r"(\w+):(\[|\{\w+,\w+\})?(\w+)?=(\d+)\|?$")


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `kind` is a scalar name, "enum", "message" or "map" (string to string)."""

    name: str
    number: int
    kind: str
    repeated: bool = False
    type_name: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message with its fields by name (order of the table) and by number."""

    name: str
    by_name: dict[str, Field] = field(default_factory=dict)
    by_number: dict[int, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum; the first name is the default."""

    name: str
    numbers: dict[str, int]
    names: dict[int, str]


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC: `path` is the HTTP/2 :path, `streams` says that the answer is a stream.

    `takes_stream` says so of the request.
    """

    name: str
    path: str
    request: str
    response: str
    streams: bool
    takes_stream: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    messages: dict[str, Message]
    enums: dict[str, Enum]
    methods: dict[str, Method]


def parse(text: str, package: str) -> Schema:
    """Read a table; package is the protobuf package of its services."""
    enums: dict[str, Enum] = {}
    methods: dict[str, Method] = {}
    rows: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        head, _, rest = line.partition(" ")
        if head == "service":
            service, _, listed = rest.partition(": ")
            path = f"/{package}.{service}"
            methods |= {m.name: m for m in (_method(path, m) for m in listed.split("; "))}
        elif head == "enum":
            name, *pairs = rest.split()
            numbers = {key: int(value) for key, _, value in (p.partition("=") for p in pairs)}
            enums[name] = Enum(name, numbers, {number: key for key, number in numbers.items()})
        elif head and not head.startswith("#"):
            rows.append((head, rest.split()))
    messages = {name: _message(name, fields, enums) for name, fields in rows}
    return Schema(messages, enums, methods)


def _method(service_path: str, text: str) -> Method:
    found = _METHOD.match(text.strip())
    if found is None:
        raise ValueError(f"not a method: {text!r}")
    name, asks, request, stream, response = found.groups()
    return Method(name, f"{service_path}/{name}", request, response, bool(stream), bool(asks))


def _message(name: str, fields: list[str], enums: dict[str, Enum]) -> Message:
    message = Message(name)
    for text in fields:
        found = _FIELD.match(text)
        if found is None:
            raise ValueError(f"not a field of {name}: {text!r}")
        field_name, shape, type_name, number = found.groups()
        if shape is not None and shape.startswith("{"):
            entry = Field(field_name, int(number), "map", repeated=True)
        elif type_name in SCALARS:
            entry = Field(field_name, int(number), SCALARS[type_name], shape is not None)
        else:
            kind = "enum" if type_name in enums else "message"
            entry = Field(field_name, int(number), kind, shape is not None, type_name)
        message.by_name[field_name] = entry
        message.by_number[entry.number] = entry
    return message
