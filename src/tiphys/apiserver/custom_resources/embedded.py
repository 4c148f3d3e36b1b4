"""Resources within resources: their metadata is typed, what they are is required.

Upstream: apiextensions-apiserver pkg/apiserver/schema/objectmeta (coerce.go, validation.go).
"""

from collections.abc import Iterator
from typing import Any

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources.defaulting import of_key
from tiphys.apiserver.custom_resources.pruning import EMBEDDED
from tiphys.apiserver.object_meta import validate_meta
from tiphys.codec import json
from tiphys.codec.typed import DecodeError, to_typed

_META = "meta.v1.ObjectMeta"


def typed_metadata(obj: Obj, path: str) -> list[str]:
    """Put an object's metadata into its form, in place; the paths of unknown fields.

    Raises DecodeError.
    """
    given = obj.get("metadata")
    if given is None:
        return []
    where = f"{path}.metadata" if path else "metadata"
    if not isinstance(given, dict):
        raise DecodeError(f"json: cannot unmarshal {_kind(given)} into Go struct field {where}")
    unknown = json.unknown_fields(given, _META, where)
    obj["metadata"] = to_typed(given, _META)
    return unknown


def _kind(value: Any) -> str:
    return "array" if isinstance(value, list) else "string" if isinstance(value, str) else "number"


def coerce(value: Any, schema: Obj, path: str = "") -> list[str]:
    """The metadata of all embedded resources. Raises DecodeError."""
    found: list[str] = []
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            found += typed_metadata(value, path)
        for key in list(value):
            inner = of_key(schema, key)
            if inner is not None:
                found += coerce(value[key], inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            found += coerce(item, schema["items"], f"{path}[{index}]")
    return found


def embedded_errors(value: Any, schema: Obj, path: str = "") -> Iterator[FieldError]:
    """Of all embedded resources within a value."""
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            yield from _resource(value, path)
        for key in sorted(value):
            inner = of_key(schema, key)
            if inner is not None:
                known = key in (schema.get("properties") or {})
                child = f"{path}.{key}" if path else key
                yield from embedded_errors(value[key], inner, child if known else f"{path}[{key}]")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from embedded_errors(item, schema["items"], f"{path}[{index}]")


def _resource(obj: Obj, path: str) -> Iterator[FieldError]:
    for field in ("apiVersion", "kind"):
        value, where = obj.get(field), f"{path}.{field}"
        if field not in obj:
            yield required(where, "")
        elif not isinstance(value, str):
            yield invalid(where, value, "must be a string")
        elif not value:
            yield invalid(where, value, "must not be empty")
        elif field == "apiVersion" and value.count("/") > 1:
            yield invalid(where, value, f"unexpected GroupVersion string: {value}")
        elif field == "kind" and (texts := names.dns1035_label(value.lower())):
            text = "may have mixed case, but should otherwise match: "
            yield invalid(where, value, text + ",".join(texts))
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        # An embedded resource may be a template, which has no name; and of any scope.
        named = obj | {"metadata": metadata | {"name": metadata.get("name") or "fakename"}}
        namespaced = bool(metadata.get("namespace"))
        for error in validate_meta(
            named, namespaced=namespaced, validate_name=names.path_segment_name
        ):
            yield FieldError(error.kind, f"{path}.{error.path}", error.value, error.detail)
