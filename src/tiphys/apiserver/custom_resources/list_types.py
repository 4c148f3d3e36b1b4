"""Lists that are sets or maps have no item twice.

Upstream: apiextensions-apiserver pkg/apiserver/schema/listtype/validation.go.
"""

from typing import Any

import orjson

from tiphys.api.field_errors import FieldError, duplicate
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.defaulting import of_key


def check_lists(value: Any, schema: Obj, path: str = "") -> list[FieldError]:
    """Of a value and of all within."""
    errors: list[FieldError] = []
    if isinstance(value, dict):
        for key in sorted(value):
            inner = of_key(schema, key)
            if inner is not None:
                known = key in (schema.get("properties") or {})
                where = _below(path, key) if known else f"{path}[{key}]"
                errors += check_lists(value[key], inner, where)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, dict):
            errors += _check_list(value, schema, path)
            for index, item in enumerate(value):
                errors += check_lists(item, items, f"{path}[{index}]")
    return errors


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_list(value: list[Any], schema: Obj, path: str) -> list[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        named = [(item, item) for item in value]
    elif kind == "map":
        keys = schema.get("x-kubernetes-list-map-keys") or []
        named = [
            ({k: item[k] for k in keys if k in item}, item)
            for item in value
            if isinstance(item, dict)
        ]
    else:
        return []
    seen: set[bytes] = set()
    errors = []
    for index, (name, _) in enumerate(named):
        text = orjson.dumps(name, option=orjson.OPT_SORT_KEYS)
        if text in seen:
            errors.append(duplicate(f"{path}[{index}]", name))
        seen.add(text)
    return errors
