"""Defaults of a schema, and nulls where no null may be. Changes the value in place.

Upstream: apiextensions-apiserver pkg/apiserver/schema/defaulting (algorithm.go, prune.go).
"""

import copy
from typing import Any

from tiphys.api.meta import Obj


def _is_wrong_null(value: Any, schema: Obj) -> bool:
    return value is None and not schema.get("nullable")


def of_key(schema: Obj, key: str) -> Obj | None:
    """The schema of an object's field or of a map's value; None where there is none."""
    found = (schema.get("properties") or {}).get(key)
    if found is None:
        found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def drop_nulls(value: Any, schema: Obj) -> None:
    """Fields that are null, may not be, and have no default, are as if they were not there."""
    if isinstance(value, dict):
        for key in list(value):
            inner = of_key(schema, key)
            if inner is None:
                continue
            if _is_wrong_null(value[key], inner):
                if inner.get("default") is None:
                    del value[key]
            else:
                drop_nulls(value[key], inner)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for item in value:
                drop_nulls(item, items)


def fill(value: Any, schema: Obj) -> None:
    """What is missing, or null where it may not be, becomes its default."""
    if isinstance(value, dict):
        for key, inner in (schema.get("properties") or {}).items():
            default = inner.get("default")
            if default is not None and (key not in value or _is_wrong_null(value[key], inner)):
                value[key] = copy.deepcopy(default)
        for key, one in value.items():
            found = of_key(schema, key)
            if found is not None:
                if _is_wrong_null(one, found) and found.get("default") is not None:
                    value[key] = one = copy.deepcopy(found["default"])
                fill(one, found)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            for index, item in enumerate(value):
                if _is_wrong_null(item, items) and items.get("default") is not None:
                    value[index] = copy.deepcopy(items["default"])
                fill(value[index], items)


def has_defaults(schema: Obj) -> bool:
    """Whether reading an object can add anything to it."""
    if schema.get("default") is not None:
        return True
    inner = [*(schema.get("properties") or {}).values(), schema.get("items"),
             schema.get("additionalProperties")]  # fmt: skip
    return any(isinstance(one, dict) and has_defaults(one) for one in inner)
