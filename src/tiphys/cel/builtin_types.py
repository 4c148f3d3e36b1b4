"""Types of built-in kinds, from the table of their schemas.

Upstream: apiserver/pkg/cel/openapi/resolver (refs.go, definitions.go).
"""

from functools import lru_cache
from typing import Final

from tiphys.api.schema import SCHEMA, Field
from tiphys.cel import types
from tiphys.cel.schema_types import SchemaType, escaped
from tiphys.cel.types import Type, list_of, map_of

# By the letters of the table. Quantities and what is a number or a text are not typed.
_LETTERS: Final[dict[str, Type]] = {
    "s": types.STRING,
    "i": types.INT,
    "l": types.INT,
    "b": types.BOOL,
    "y": types.BYTES,
    "e": types.DOUBLE,
    "T": types.TIMESTAMP,
    "U": types.TIMESTAMP,
    "Q": types.DYN,
    "I": types.DYN,
    "R": types.struct("object"),
}
OBJECT_META: Final = "meta.v1.ObjectMeta"
_STRUCT: Final = types.struct("object")


@lru_cache(maxsize=16)
def builtin_type(name: str) -> SchemaType:
    """Of `apps.v1.Deployment`; its objects have no names yet."""
    return _struct(name, frozenset())


def _struct(name: str, within: frozenset[str]) -> SchemaType:
    if name in within:  # A type that holds itself is not looked into again.
        return SchemaType(_STRUCT, 0)
    fields: dict[str, SchemaType] = {}
    for field in SCHEMA.types[name].fields.values():
        found = _field(field, within | {name})
        own = escaped(field.name)
        if found is not None and own is not None:
            fields[own] = found
    return SchemaType(_STRUCT, 0, fields=fields)


def _field(field: Field, within: frozenset[str]) -> SchemaType | None:
    """None for what may be any JSON."""
    if field.ref:
        one = _struct(field.ref, within)
    elif field.kind in _LETTERS:
        one = SchemaType(_LETTERS[field.kind], 0)
    else:
        return None
    for container in reversed(field.container.split(" of ")):
        if container == "list":
            one = SchemaType(list_of(one.type), 0, element=one)
        elif container == "map":
            one = SchemaType(map_of(types.STRING, one.type), 0, element=one)
    return one
