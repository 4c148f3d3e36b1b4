"""What the patches that expressions make do to an object. Pure.

Upstream: apiserver/pkg/admission/plugin/policy/mutating/patch (smd.go, json_patch.go),
pkg/cel/mutation/dynamic/objects.go.
"""

import base64
from collections.abc import Iterator
from typing import Any

from tiphys.api.meta import Obj
from tiphys.cel.library.times import shown_duration, shown_timestamp
from tiphys.cel.values import Duration, StructValue, Timestamp
from tiphys.codec.fields.merge import merge
from tiphys.codec.fields.shape import Shape, StructShape
from tiphys.codec.fields.unfit import why_unfit
from tiphys.codec.patch import PatchError, json_patch


class PatchRefused(Exception):
    """The patch cannot be applied; the text says why."""


def apply_configuration(shape: Shape, obj: Obj, made: StructValue) -> Obj:
    """The object with the fields that the expression made laid over it. Raises PatchRefused."""
    _check_type_names(made)
    named = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    patch = _plain(made) | named
    if why := why_unfit(shape, patch):
        told = "failed to convert patch object to typed object"
        raise PatchRefused(f"error applying patch: {told}: {why}")
    if found := list(_atomics(shape, patch, "")):
        told = f"may not mutate atomic arrays, maps or structs: {', '.join(found)}"
        raise PatchRefused(f"error applying patch: invalid ApplyConfiguration: {told}")
    try:
        merged: Obj = merge(shape, obj, patch)
    except ValueError as error:  # A list that is there has an item twice.
        raise PatchRefused(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def apply_json_patch(obj: Obj, operations: list[StructValue]) -> Obj:
    """The object as it is where a test fails. Raises PatchRefused."""
    patch = []
    for made in operations:
        operation = {"op": made.get("op", ""), "path": made.get("path", "")}
        if made.get("from"):
            operation["from"] = made["from"]
        if "value" in made:
            if isinstance(made["value"], StructValue):
                _check_type_names(made["value"])
            operation["value"] = _plain(made["value"])
        patch.append(operation)
    try:
        return json_patch.apply(obj, patch)
    except PatchError as error:
        if str(error).endswith(": test failed"):
            return obj
        raise PatchRefused(f"JSON Patch: {error}") from None


def _check_type_names(made: StructValue) -> None:
    """Structs must be called after the fields in which they are. Raises PatchRefused."""
    errors = list(_misnamed(made, made.type_name))
    if errors:
        raise PatchRefused("type mismatch: " + "\n".join(errors))


def _misnamed(value: Any, wanted: str) -> Iterator[str]:
    if isinstance(value, StructValue):
        if value.type_name != wanted:
            yield (
                f'unexpected type name "{value.type_name}", expected "{wanted}", which matches'
                " field name path from root Object type"
            )
        for name, inner in value.items():
            yield from _misnamed(inner, f"{wanted}.{name}")
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _misnamed(inner, wanted)
    elif isinstance(value, list):
        for inner in value:
            yield from _misnamed(inner, wanted)


def _atomics(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Where the patch would replace lists and maps as a whole."""
    if not isinstance(value, (dict, list)):
        return
    if shape.is_leaf(value):
        yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _atomics(shape.element, item, f"{path}[{index}]")
    elif isinstance(shape, StructShape):
        for name, inner in value.items():
            if shape.has_field(name):
                yield from _atomics(shape.child(name), inner, f"{path}.{name}")


def _plain(value: Any) -> Any:
    """As JSON has it, and a fresh one. Raises PatchRefused."""
    match value:
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise PatchRefused(f'map key "{key}" is not a string')
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case bytes():
            return base64.b64encode(value).decode()
        case Timestamp():
            return shown_timestamp(value)
        case Duration():
            return shown_duration(value)
        case bool() | float() | str() | None:
            return value
        case int():
            return int(value)
        case _:
            raise PatchRefused(f"unsupported value in a patch: {type(value).__name__}")
