"""Expressions that choose devices: compiled to see whether they are valid.

Upstream: k8s.io/dynamic-resource-allocation/cel/compile.go.
"""

from functools import lru_cache
from typing import Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.cel import types
from tiphys.cel.environment import Environment, Structs, base
from tiphys.cel.errors import CompileError
from tiphys.cel.expression import compiled
from tiphys.cel.library.quantity import QUANTITY

_DEVICE: Final = types.struct("kubernetes.DRADevice")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    def by_domain(value: types.Type) -> types.Type:
        return types.map_of(types.STRING, types.map_of(types.STRING, value))

    fields = {
        "driver": types.STRING,
        "allowMultipleAllocations": types.BOOL,
        "attributes": by_domain(types.DYN),
        "capacity": by_domain(QUANTITY),
    }
    device = base().with_structs(Structs({"kubernetes.DRADevice": fields}))
    return device.with_variables({"device": _DEVICE}).with_bind()


def validate(expression: str, path: str) -> list[FieldError]:
    try:
        found = compiled(expression, _environment()).result
    except CompileError as error:
        return [invalid(path, expression, f"compilation failed: {error}")]
    if found in (types.BOOL, types.DYN):
        return []
    text = f"must evaluate to bool or the unknown type, not {found}"
    return [invalid(path, expression, text)]
