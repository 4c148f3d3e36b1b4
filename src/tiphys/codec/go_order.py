"""Objects in the order in which Go writes them: a struct's fields as declared, a map's keys sorted.

Error messages show values so. Upstream: encoding/json, util/validation/field (Error.ErrorBody).
"""

from typing import Any

from tiphys.api.schema import SCHEMA, Field


def in_go_order(value: Any, type_name: str) -> Any:
    """A copy of an object of a type of the schema."""
    if not isinstance(value, dict):
        return value
    fields = SCHEMA.types[type_name].fields
    return {n: _field(value[n], field) for n, field in fields.items() if n in value}


def _field(value: Any, field: Field) -> Any:
    if field.container == "list" and isinstance(value, list):
        return [_one(v, field) for v in value]
    if field.container and isinstance(value, dict):
        return {key: _one(value[key], field) for key in sorted(value)}
    return _one(value, field)


def _one(value: Any, field: Field) -> Any:
    return in_go_order(value, field.ref) if field.ref else value
