"""Whether a schema is structural: each place has one type, and logic only says more of it.

Upstream: apiextensions-apiserver pkg/apiserver/schema (validation.go, complete.go); KEP-1002.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.patterns import BadPattern, compiled
from tiphys.apiserver.custom_resources.pruning import EMBEDDED, PRESERVES

INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_ROOT, _FIELD, _ITEM = "root", "field", "item"
_UNTYPED: Final = {
    _ROOT: "must not be empty at the root",
    _FIELD: "must not be empty for specified object fields",
    _ITEM: "must not be empty for specified array items",
}
_ALTERNATIVES: Final = [{"type": "integer"}, {"type": "string"}]
# What logic may not say, and the word for what it must be instead.
_FORBIDDEN_IN_LOGIC: Final = (
    ("additionalProperties", "undefined"),
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    (PRESERVES, "false"),
    (EMBEDDED, "false"),
    (INT_OR_STRING, "false"),
    ("x-kubernetes-list-map-keys", "empty"),
    ("x-kubernetes-list-type", "undefined"),
    ("x-kubernetes-map-type", "undefined"),
    ("x-kubernetes-validations", "empty"),
)


def structural_errors(schema: Obj, path: str) -> list[FieldError]:
    """Sorted by their texts, as upstream does."""
    errors = [*_place(schema, _ROOT, path), *_completeness(schema, schema, path, path)]
    return sorted(errors, key=str)


def _place(schema: Obj, level: str, path: str) -> Iterator[FieldError]:
    items, others = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, dict):
        yield from _place(items, _ITEM, f"{path}.items")
    for name, inner in (schema.get("properties") or {}).items():
        yield from _place(inner, _FIELD, f"{path}.properties[{name}]")
    if isinstance(others, dict):
        yield from _place(others, _FIELD, f"{path}.additionalProperties")
    if others is not None and others is not False and level == _ROOT:
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if schema.get("type") == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    yield from _logic_of(schema, level, path)
    yield from _type(schema, level, path)
    if schema.get(INT_OR_STRING):
        for extension in (PRESERVES, EMBEDDED):
            if schema.get(extension):
                text = f"must be false if {INT_OR_STRING} is true"
                yield invalid(f"{path}.{extension}", True, text)
    if level == _ROOT or schema.get(EMBEDDED):
        yield from _resource_fields(schema, path, is_root=level == _ROOT)


def _type(schema: Obj, level: str, path: str) -> Iterator[FieldError]:
    kind = schema.get("type") or ""
    if schema.get(EMBEDDED):
        if kind != "object":
            text = "must be object if x-kubernetes-embedded-resource is true"
            yield _wrong(f"{path}.type", kind, text)
        if schema.get("additionalProperties") is not None:
            text = "must not be used if x-kubernetes-embedded-resource is set"
            yield forbidden(f"{path}.additionalProperties", text)
        if not schema.get(PRESERVES) and not schema.get("properties"):
            yield required(
                f"{path}.properties",
                "must not be empty if x-kubernetes-embedded-resource is true without"
                " x-kubernetes-preserve-unknown-fields",
            )
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVES):
        yield required(f"{path}.type", _UNTYPED[level])
    if level == _ROOT and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _wrong(path: str, value: str, text: str) -> FieldError:
    return invalid(path, value, text) if value else required(path, text)


def _resource_fields(schema: Obj, path: str, *, is_root: bool) -> Iterator[FieldError]:
    """What a resource has anyhow may be restricted in its names only."""
    properties = schema.get("properties") or {}
    for name in ("kind", "apiVersion"):
        kind = (properties.get(name) or {}).get("type") or ""
        if name in properties and kind != "string":
            yield invalid(f"{path}.properties[{name}].type", kind, "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    where = f"{path}.properties[metadata]"
    if (kind := metadata.get("type") or "") != "object":
        yield invalid(f"{where}.type", kind, "must be object")
    named = set(metadata.get("properties") or {}) - {"name", "generateName"}
    if is_root and (named or set(metadata) - {"type", "properties", "default"}):
        yield forbidden(
            where,
            "must not specify anything other than name and generateName, but metadata is"
            " implicitly specified",
        )


# --- logic: anyOf, allOf, oneOf, not


def _logic_of(schema: Obj, level: str, path: str) -> Iterator[FieldError]:
    """Two patterns say "integer or string" with types, and may: KEP-1002."""
    typed: tuple[str, ...] = ()
    if schema.get(INT_OR_STRING):
        every = schema.get("allOf") or []
        if schema.get("anyOf") == _ALTERNATIVES:
            typed = ("anyOf",)
        elif every and every[0].get("anyOf") == _ALTERNATIVES:
            typed = ("allOf",)
    yield from _nested(schema, level, path, typed)


def _nested(schema: Obj, level: str, path: str, typed: Sequence[str] = ()) -> Iterator[FieldError]:
    if pattern := schema.get("pattern"):
        try:
            compiled(pattern)
        except BadPattern as error:
            text = f"must be a valid regular expression, but isn't: {error}"
            yield invalid(f"{path}.pattern", pattern, text)
    for word, index, inner in _logic(schema):
        where = f"{path}.{word}" if index is None else f"{path}.{word}[{index}]"
        skips: tuple[str, ...] = (
            ("anyOf",) if word in typed and word == "allOf" and not index else ()
        )
        yield from _logical(inner, level, where, skips, may_type=word in typed and word == "anyOf")


def _logic(schema: Obj) -> Iterator[tuple[str, int | None, Obj]]:
    for word in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(schema.get(word) or ()):
            yield word, index, inner
    if isinstance(schema.get("not"), dict):
        yield "not", None, schema["not"]


def _logical(
    schema: Obj, level: str, path: str, typed: Sequence[str], *, may_type: bool
) -> Iterator[FieldError]:
    yield from _nested(schema, level, path, typed)
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _logical(items, _ITEM, f"{path}.items", (), may_type=False)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _logical(inner, _FIELD, f"{path}.properties[{name}]", (), may_type=False)
    if schema.get("type") and not may_type:
        yield forbidden(f"{path}.type", "must be empty to be structural")
    for name, word in _FORBIDDEN_IN_LOGIC:
        if _is_set(schema.get(name), word):
            yield forbidden(f"{path}.{name}", f"must be {word} to be structural")
    if "metadata" in (schema.get("properties") or {}):
        text = "must not be specified in a nested context"
        yield forbidden(f"{path}.properties[metadata]", text)


def _is_set(value: Any, word: str) -> bool:
    return value is not None if word == "undefined" else bool(value)


def _completeness(logic: Obj, schema: Obj, path: str, logic_path: str) -> Iterator[FieldError]:
    """What logic speaks of must be there outside of it."""
    for word, index, inner in _logic(logic):
        where = f"{logic_path}.{word}" if index is None else f"{logic_path}.{word}[{index}]"
        yield from _covered(inner, schema, path, where)
    if logic is schema:
        items, others = schema.get("items"), schema.get("additionalProperties")
        if isinstance(items, dict):
            yield from _completeness(items, items, f"{path}.items", f"{path}.items")
        for name, inner in (schema.get("properties") or {}).items():
            where = f"{path}.properties[{name}]"
            yield from _completeness(inner, inner, where, where)
        if isinstance(others, dict):
            where = f"{path}.additionalProperties"
            yield from _completeness(others, others, where, where)


def _covered(logic: Obj, schema: Obj, path: str, logic_path: str) -> Iterator[FieldError]:
    yield from _completeness(logic, schema, path, logic_path)
    items = logic.get("items")
    if isinstance(items, dict):
        where = f"{logic_path}.items"
        if isinstance(schema.get("items"), dict):
            yield from _covered(items, schema["items"], f"{path}.items", where)
        else:
            yield required(f"{path}.items", f"because it is defined in {where}")
    for name, inner in (logic.get("properties") or {}).items():
        where = f"{logic_path}.properties[{name}]"
        known = (schema.get("properties") or {}).get(name)
        others = schema.get("additionalProperties")
        if known is not None:
            yield from _covered(inner, known, f"{path}.properties[{name}]", where)
        elif isinstance(others, dict):
            yield from _covered(inner, others, f"{path}.additionalProperties", where)
        else:
            yield required(f"{path}.properties[{name}]", f"because it is defined in {where}")
