"""Values as upstream's messages show them: Go's JSON of its internal structs.

Validation works on structs that have no JSON tags: a value in its messages has Go's field names in
the order of the struct, and all fields, also those that nobody set. go_forms.txt in this package:

    @@group.version           what follows belongs to this group (upstream's package)
    Type Field...             the internal struct's fields in their order
    Field=name                the name in JSON, where it is not the same but for its case
    Field!                    no pointer, although the field of the version is one
    ^Field                    stands in the enclosing object in the version's form
    <metadata>                an embedded ObjectMeta, which has tags and leaves out what is empty

Types that are not there keep the form they have in the API. go_order.txt: the fields of the types
whose order in Go is not that of protobuf, which the schema has.
Upstream: pkg/apis/*/types.go, encoding/json; recorded messages.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple

from tiphys.api.meta import Obj
from tiphys.api.schema import SCHEMA, Field

_METADATA: Final = "meta.v1.ObjectMeta"
_ZERO: Final[Mapping[str, Any]] = {"s": "", "i": 0, "l": 0, "b": False, "e": 0, "Q": "0", "I": 0}


class _Member(NamedTuple):
    """A field of an internal struct, and where its value stands in the version's form."""

    go_name: str
    field: Field
    is_plain: bool  # No pointer.
    of_parent: bool


def go_form(obj: Obj, type_name: str, parent: Obj | None = None) -> Obj:
    """A new object; type_name is the version's, as in the schema ("core.v1.PodSpec").

    parent is the enclosing object. Raises KeyError when there is no such type.
    """
    words = _table().get(type_name)
    if words is None:
        return api_form(obj, type_name)
    found: Obj = {}
    if words[0] == "<metadata>":
        found = api_form(obj.get("metadata") or {}, _METADATA)
    for member in _members(type_name):
        source = (parent or {}) if member.of_parent else obj
        found[member.go_name] = _value(source.get(member.field.name), member, obj)
    return found


def api_form(obj: Obj, type_name: str) -> Obj:
    """A new object with its fields in their order in Go, as it marshals structs with tags."""
    fields = SCHEMA.types[type_name].fields
    return {
        name: _api_value(obj[name], fields[name])
        for name in _orders().get(type_name) or fields
        if name in obj and not _is_left_out(obj[name], fields[name])
    }


def _is_left_out(value: Any, field: Field) -> bool:
    """Go's omitempty: an empty text, list or map, but no struct, and nothing behind a pointer."""
    if not field.omit_empty or field.pointer:
        return False
    return value == "" or (bool(field.container) and not value)


def _api_value(value: Any, field: Field) -> Any:
    if isinstance(value, dict) and field.container == "map":
        return {k: _api_item(v, field) for k, v in sorted(value.items())}
    if isinstance(value, list) and field.container == "list":
        return [_api_item(v, field) for v in value]
    return _api_item(value, field)


def _api_item(value: Any, field: Field) -> Any:
    return api_form(value, field.ref) if field.ref and isinstance(value, dict) else value


def _value(value: Any, member: _Member, parent: Obj) -> Any:
    field = member.field
    if value is None:
        return _zero(member)
    if field.container == "map":
        return {k: _item(v, field, parent) for k, v in sorted(value.items())}
    if field.container == "list":
        return [_item(v, field, parent) for v in value]
    return _item(value, field, parent)


def _item(value: Any, field: Field, parent: Obj) -> Any:
    return go_form(value, field.ref, parent) if field.ref else value


def _zero(member: _Member) -> Any:
    field = member.field
    if field.container or not member.is_plain:
        return None
    return go_form({}, field.ref) if field.ref else _ZERO.get(field.kind)


@cache
def _table() -> Mapping[str, list[str]]:
    """The words of each type. Read when a message first needs it."""
    return _read("go_forms.txt")


@cache
def _orders() -> Mapping[str, list[str]]:
    """Of each type whose fields stand in Go in another order than in protobuf: their names."""
    return _read("go_order.txt")


def _read(file: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    package = ""
    text = resources.files("tiphys.api").joinpath(file).read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("@@"):
            package = line[2:]
        else:
            name, *words = line.split()
            found[f"{package}.{name}"] = words
    return found


@cache
def _members(type_name: str) -> tuple[_Member, ...]:
    """Raises KeyError for a field that the version does not have."""
    own = _by_name(type_name)
    found = []
    for word in _table()[type_name]:
        if word.startswith("<"):
            continue
        of_parent = word.startswith("^")
        go_name, _, name = word.strip("^!").partition("=")
        fields = _by_name(_parent_type(type_name)) if of_parent else own
        field = fields[(name or go_name).lower()]
        found.append(_Member(go_name, field, "!" in word or not field.pointer, of_parent))
    return tuple(found)


def _by_name(type_name: str) -> dict[str, Field]:
    return {name.lower(): f for name, f in SCHEMA.types[type_name].fields.items()}


def _parent_type(type_name: str) -> str:
    """Only the pod's security context holds what the version has one level higher."""
    return {"core.v1.PodSecurityContext": "core.v1.PodSpec"}[type_name]
