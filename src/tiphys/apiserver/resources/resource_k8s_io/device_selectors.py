"""Expressions that choose devices, compiled with the bounds of what a device may say.

Imported with the first selector: what knows the language costs memory.
Upstream: dynamic-resource-allocation/cel/compile.go.
"""

from functools import lru_cache
from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.cel import types
from tiphys.cel.environment import Environment, Structs, base
from tiphys.cel.errors import CompileError
from tiphys.cel.estimate import Path, cost_of
from tiphys.cel.expression import Expression, compiled
from tiphys.cel.library.quantity import QUANTITY
from tiphys.cel.types import ANY, STRING, map_of, struct

_COST_MAX: Final = 1_000_000  # CELSelectorExpressionMaxCost
_DEVICE: Final = "kubernetes.DRADevice"
_ENTRIES_MAX: Final = 32  # ResourceSliceMaxAttributesAndCapacitiesPerDevice
_DOMAIN_MAX, _ID_MAX, _DRIVER_MAX, _ATTRIBUTE_MAX = 63, 32, 63, 64


def expression_errors(text: str, path: str) -> list[FieldError]:
    try:
        found = compiled(text, _environment())
    except CompileError as error:
        return [invalid(path, text, f"compilation failed: {error}")]
    if found.result not in (types.BOOL, ANY):
        told = f"must evaluate to bool or the unknown type, not {found.result}"
        return [invalid(path, text, told)]
    if _most(found) > _COST_MAX:
        return [forbidden(path, "too complex, exceeds cost limit")]
    return []


def most_cost(text: str) -> int:
    """What choosing by it may cost. Raises CompileError."""
    return _most(compiled(text, _environment()))


def _most(found: Expression) -> int:
    return cost_of(found.checked, _size_max).high


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Values are in maps by the part of their name behind the domain, these in maps by domain."""
    fields = {
        "driver": STRING,
        "allowMultipleAllocations": types.BOOL,
        "attributes": map_of(STRING, map_of(STRING, ANY)),
        "capacity": map_of(STRING, map_of(STRING, QUANTITY)),
    }
    known = base().with_variables({"device": struct(_DEVICE)})
    return known.with_structs(Structs({_DEVICE: fields})).with_bind()


def _size_max(path: Path) -> int | None:
    match path[1:]:
        case ("driver",):
            return _DRIVER_MAX
        case ("allowMultipleAllocations",):
            return 1
        case (("attributes" | "capacity"),) | (("attributes" | "capacity"), "@values"):
            return _ENTRIES_MAX
        case (("attributes" | "capacity"), "@keys"):
            return _DOMAIN_MAX
        case (("attributes" | "capacity"), "@values", "@keys"):
            return _ID_MAX
        case ("attributes", "@values", _):
            return _ATTRIBUTE_MAX
        case _:
            return None
