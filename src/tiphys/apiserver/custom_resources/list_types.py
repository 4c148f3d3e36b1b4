"""Lists that are sets or maps have no item twice.

Upstream: apiextensions-apiserver pkg/apiserver/schema/listtype/validation.go.
"""

from typing import Any

import orjson

from tiphys.api.field_errors import FieldError, duplicate, invalid
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.defaulting import of_key


def check_lists(value: Any, schema: Obj, path: str = "") -> list[FieldError]:
    """Of a value and of all within; of what the schema does not name first."""
    errors: list[FieldError] = []
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        for key in sorted(value, key=lambda key: (key in known, key)):
            inner = of_key(schema, key)
            if inner is not None:
                where = _below(path, key) if key in known else f"{path}[{key}]"
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
        return _repeated(value, path)
    if kind != "map":
        return []
    for index, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            text = "must be an object for an array of list-type map"
            return [invalid(f"{path}[{index}]", item, text)]
    keys = schema.get("x-kubernetes-list-map-keys") or []
    return _repeated(
        [{k: item[k] for k in keys if k in item} if item else {} for item in value], path
    )


def _repeated(values: list[Any], path: str) -> list[FieldError]:
    """Each value that is there more than once, where it is there the second time."""
    seen: dict[bytes, int] = {}
    errors = []
    for index, value in enumerate(values):
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            errors.append(duplicate(f"{path}[{index}]", value))
    return errors
