"""What an `openAPIV3Schema` may say.

Upstream: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go
(ValidateCustomResourceDefinitionOpenAPISchema), pkg/apiserver/schema/defaulting/validation.go.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources import formats
from tiphys.apiserver.custom_resources.go_schema import AT_ROOT, fields_of, go_schema
from tiphys.apiserver.custom_resources.list_types import check_lists
from tiphys.apiserver.custom_resources.pruning import EMBEDDED, PRESERVES, prune
from tiphys.apiserver.custom_resources.rules import RULES, has_rules
from tiphys.apiserver.custom_resources.structural import structural_errors
from tiphys.apiserver.custom_resources.validation import validate

TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
MAP_TYPE: Final = "x-kubernetes-map-type"
_NOT_SUPPORTED: Final = (
    *("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"),
)
_REASONS: Final = (
    "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired",
)  # fmt: skip
_META_FIELDS: Final = frozenset({"metadata", "kind", "apiVersion"})
_LINE_BREAK: Final = re.compile(r"[\n\r]")
_FIELD_PATH: Final = re.compile(r"(\.[A-Za-z_$][\w$]*|\['(?:[^'\\]|\\.)*'\])+", re.ASCII)


class _Place(NamedTuple):
    """What a schema within another must not have."""

    no_default: str = ""  # Why not.
    in_meta: bool = False  # Of a resource: its metadata, kind or apiVersion.


def schema_errors(schema: Obj, path: str, *, has_status: bool = False) -> list[FieldError]:
    """All that is wrong with the schema of a version; has_status: status is a subresource."""
    errors = _root(schema, path) if has_status else []
    if schema.get("nullable"):
        errors.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    structure: list[FieldError] = []
    if not _has_no_structure(schema):
        structure = structural_errors(schema, path)
        structure = structure or list(_defaults(schema, path))
    found = list(_within(schema, path, _Place(), is_root=True))
    errors += structure + found
    if structure or not has_rules(schema):
        return errors
    # The language is loaded with the first definition that has rules.
    from tiphys.apiserver.custom_resources.rule_definitions import rule_errors

    return errors + rule_errors(schema, path, found)


def _root(schema: Obj, path: str) -> list[FieldError]:
    """Status is checked with what the root says of it alone. The first that is wrong."""
    for name in fields_of(schema):
        if name == "Type" and schema["type"] != "object":
            text = (
                'only "object" is allowed as the type at the root of the schema if the status'
                " subresource is enabled"
            )
            return [invalid(f"{path}.type", schema["type"], text)]
        if name not in AT_ROOT:
            text = (
                f"only [{' '.join(AT_ROOT)}] fields are allowed at the root of the schema if the"
                " status subresource is enabled"
            )
            return [invalid(path, go_schema(schema), text)]
    return []


def _has_no_structure(schema: Obj) -> bool:
    """What is not supported has no structural form: upstream then says only so."""
    return any(one.get(word) for _, one in _places(schema, "") for word in _NOT_SUPPORTED) or any(
        isinstance(one.get("items"), list) for _, one in _places(schema, "")
    )


def unknown_formats(schema: Obj) -> list[str]:
    """Formats that check nothing: a writer is warned of them."""
    found = [one.get("format") for _, one in _places(schema, "")]
    return [name for name in dict.fromkeys(found) if name and not formats.is_known(name)]


def _places(schema: Obj, path: str) -> Iterator[tuple[str, Obj]]:
    """Each schema within, with its path."""
    yield path, schema
    for word in ("additionalProperties", "items", "not"):
        if isinstance(schema.get(word), dict):
            yield from _places(schema[word], f"{path}.{word}")
    for word in ("properties", "patternProperties", "definitions"):
        for name, inner in (schema.get(word) or {}).items():
            yield from _places(inner, f"{path}.{word}[{name}]")
    for word in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(word) or ()):
            yield from _places(inner, f"{path}.{word}[{index}]")


def _within(
    schema: Obj, path: str, place: _Place, *, is_root: bool = False
) -> Iterator[FieldError]:
    """Of a schema and of those in it."""
    yield from _basic(schema, path, place)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        reason = "inside additionalProperties applying to object metadata"
        inner = place._replace(no_default=reason) if place.in_meta else place
        yield from _within(others, f"{path}.additionalProperties", inner)
    for name, one in (schema.get("properties") or {}).items():
        inner = place
        if (is_root or schema.get(EMBEDDED)) and name in _META_FIELDS:
            reason = f"in top-level {name}" if is_root else place.no_default
            inner = _Place(reason, in_meta=True)
        yield from _within(one, f"{path}.properties[{name}]", inner)
    for where, one in _in_logic(schema, path):
        yield from _within(one, where, place)
    if isinstance(schema.get("items"), dict):
        yield from _within(schema["items"], f"{path}.items", place)
    yield from _extensions(schema, path)


def _in_logic(schema: Obj, path: str) -> Iterator[tuple[str, Obj]]:
    if isinstance(schema.get("not"), dict):
        yield f"{path}.not", schema["not"]
    for word in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(word) or ()):
            yield f"{path}.{word}[{index}]", inner
    for name, inner in (schema.get("definitions") or {}).items():
        yield f"{path}.definitions[{name}]", inner


def _basic(schema: Obj, path: str, place: _Place) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if schema.get("default") is not None and place.no_default:
        yield forbidden(f"{path}.default", f"must not be set {place.no_default}")
    for word in _NOT_SUPPORTED:
        if schema.get(word):
            yield forbidden(f"{path}.{word}", f"{word} is not supported")
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        yield forbidden(f"{path}.type", text)
    if isinstance(schema.get("items"), list):
        text = "items must be a schema object and not an array"
        yield forbidden(f"{path}.items", text)
    if place.in_meta and schema.get(EMBEDDED):
        yield forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)
    others = schema.get("additionalProperties")
    if schema.get("properties") and (others is False or isinstance(others, dict)):
        text = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", text)


def _defaults(schema: Obj, path: str) -> Iterator[FieldError]:
    """Where there is a value to put them in: not under additionalProperties, nor in logic."""
    yield from _default(schema, path)
    if isinstance(schema.get("items"), dict):
        yield from _defaults(schema["items"], f"{path}.items")
    for name, inner in (schema.get("properties") or {}).items():
        yield from _defaults(inner, f"{path}.properties[{name}]")


def _default(schema: Obj, path: str) -> Iterator[FieldError]:
    """A default is pruned and valid itself."""
    default, where = schema.get("default"), f"{path}.default"
    if default is None:
        return
    pruned = copy.deepcopy(default)
    inner = {"properties": {"x": schema}}
    if prune({"x": pruned}, inner):
        yield invalid(where, default, "must not have unknown fields")
    found = [*validate(default, schema, under=where), *check_lists(default, schema, where)]
    yield from found
    if not found and has_rules(schema):
        from tiphys.apiserver.custom_resources.rule_validation import RuleValidator

        yield from RuleValidator(schema, is_root=False).check(default, None, where).errors


# --- lists, maps and rules


def _extensions(schema: Obj, path: str) -> Iterator[FieldError]:
    if schema.get(PRESERVES) is False:
        yield invalid(f"{path}.{PRESERVES}", False, "must be true or undefined")
    kind = schema.get("type") or ""
    map_type, list_type = schema.get(MAP_TYPE), schema.get(LIST_TYPE)
    if map_type is not None:
        if kind != "object":
            yield _wrong_type(path, kind, "object", MAP_TYPE)
        if map_type not in ("atomic", "granular"):
            yield _not_supported(f"{path}.{MAP_TYPE}", map_type, ("atomic", "granular"))
    items = schema.get("items")
    if list_type is not None:
        if kind != "array":
            yield _wrong_type(path, kind, "array", LIST_TYPE)
        elif list_type == "set" and isinstance(items, dict):
            yield from _set_items(items, path)
        if list_type not in ("atomic", "set", "map"):
            yield _not_supported(f"{path}.{LIST_TYPE}", list_type, ("atomic", "set", "map"))
    yield from _list(schema, list_type, path)
    for index, rule in enumerate(schema.get(RULES) or ()):
        yield from _rule(rule, schema, f"{path}.{RULES}[{index}]")


def _wrong_type(path: str, kind: str, wanted: str, extension: str) -> FieldError:
    text = f"must be {wanted} if {extension} is specified"
    return invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)


def _not_supported(path: str, value: str, valid: tuple[str, ...]) -> FieldError:
    """In this order, which is not the alphabet's."""
    quoted = ", ".join(f'"{one}"' for one in valid)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {quoted}")


def _list(schema: Obj, list_type: str | None, path: str) -> Iterator[FieldError]:
    keys, items = schema.get(LIST_KEYS) or [], schema.get("items")
    if keys and list_type != "map":
        text = f"must be map if {LIST_KEYS} is non-empty"
        where = f"{path}.{LIST_TYPE}"
        yield required(where, text) if list_type is None else invalid(where, list_type, text)
    if list_type == "map":
        if not keys:
            text = f"must not be empty if {LIST_TYPE} is map"
            yield required(f"{path}.{LIST_KEYS}", text)
        if items is None:
            yield required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")
        elif isinstance(items, dict):
            yield from _keyed_items(items, keys, path)
    if list_type not in ("set", "map") or not isinstance(items, dict):
        return
    if items.get("nullable"):
        text = f"cannot be nullable when {LIST_TYPE} is {list_type}"
        yield forbidden(f"{path}.items.nullable", text)
    needed = set(items.get("required") or ())
    for key in keys if list_type == "map" else ():
        inner = (items.get("properties") or {}).get(key)
        if inner is not None:
            where = f"{path}.items.properties[{key}]"
            yield from _key_field(inner, where, is_required=key in needed)


def _set_items(items: Obj, path: str) -> Iterator[FieldError]:
    """Lists are atomic by themselves, maps are not. Upstream shows the list's type for both."""
    found = items.get(LIST_TYPE)
    text = f"must be atomic as item of a list with {LIST_TYPE}=set"
    if items.get("type") == "array" and found not in (None, "atomic"):
        yield invalid(f"{path}.items.{LIST_TYPE}", found, text)
    if items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        yield invalid(f"{path}.items.{MAP_TYPE}", found, text)


def _keyed_items(items: Obj, keys: list[str], path: str) -> Iterator[FieldError]:
    if items.get("type") != "object":
        text = f"must be object if parent array's {LIST_TYPE} is map"
        yield invalid(f"{path}.items.type", items.get("type") or "", text)
        return
    properties = items.get("properties") or {}
    seen: set[str] = set()
    for key in keys:
        where, inner = f"{path}.items.properties[{key}]", properties.get(key)
        if inner is None:
            text = "entries must all be names of item properties"
            yield invalid(f"{path}.{LIST_KEYS}", keys, text)
        elif inner.get("type") in ("array", "object"):
            text = f"must be a scalar type if parent array's {LIST_TYPE} is map"
            yield invalid(f"{where}.type", "object", text)  # Upstream shows the item's.
        if key in seen:
            yield invalid(f"{path}.{LIST_KEYS}", keys, "must not contain duplicate entries")
        seen.add(key)


def _key_field(schema: Obj, path: str, *, is_required: bool) -> Iterator[FieldError]:
    text = f"this property is in {LIST_KEYS}, so it "
    if not is_required and schema.get("default") is None:
        words = "must have a default or be a required property"
        yield required(f"{path}.default", text + words)
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", f"{text}cannot be nullable")


def _rule(rule: Obj, schema: Obj, path: str) -> Iterator[FieldError]:
    """A CEL rule's form; what it says is compiled elsewhere (`rule_definitions`)."""
    expression, message = rule.get("rule") or "", rule.get("message") or ""
    if not expression.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif _LINE_BREAK.search(message.strip()):
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    elif _LINE_BREAK.search(expression.strip()) and not message:
        text = "message must be specified if rule contains line breaks"
        yield required(f"{path}.message", text)
    if (told := rule.get("messageExpression")) and not told.strip():
        text = "messageExpression must be non-empty if specified"
        yield required(f"{path}.messageExpression", text)
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        yield _not_supported(f"{path}.reason", reason, _REASONS)
    field_path = rule.get("fieldPath") or ""
    if field_path and not field_path.strip():
        yield invalid(f"{path}.fieldPath", field_path, "must be non-empty if specified")
    if _LINE_BREAK.search(field_path):
        yield invalid(f"{path}.fieldPath", field_path, "must not contain line breaks")
    if field_path and not _leads_somewhere(field_path, schema):
        yield invalid(f"{path}.fieldPath", field_path, "must be a valid path")


def _leads_somewhere(field_path: str, schema: Any) -> bool:
    """Whether the schema has such a field."""
    if _FIELD_PATH.fullmatch(field_path) is None:
        return False
    for dotted, quoted in re.findall(r"\.([\w$]+)|\['((?:[^'\\]|\\.)*)'\]", field_path):
        if not isinstance(schema, dict):
            return False
        found = (schema.get("properties") or {}).get(dotted or quoted)
        schema = schema.get("additionalProperties") if found is None else found
    return isinstance(schema, dict)


__all__ = ["EMBEDDED", "schema_errors", "unknown_formats"]
