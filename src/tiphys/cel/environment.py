"""What an expression may speak of: variables, functions, types with fields.

Upstream: apiserver/pkg/cel/environment/base.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from tiphys.cel import declarations, types
from tiphys.cel.declarations import Function, Implementation, Library
from tiphys.cel.types import Type

Fields = Mapping[str, Type]


class Structs:
    """Types with fields, by name. Others may find them in another way."""

    def __init__(self, known: Mapping[str, Fields] | None = None) -> None:
        self._known = known or {}

    def fields(self, name: str) -> Fields | None:
        return self._known.get(name)

    def key(self, name: str, field: str) -> str:
        """What a field is called in the data: types made from schemas have escaped names."""
        return field


@dataclass(frozen=True, slots=True)
class Environment:
    functions: Mapping[str, Function]
    implementations: Mapping[str, Implementation]
    types: Mapping[str, Type]
    variables: Mapping[str, Type] = field(default_factory=dict)
    structs: Structs = field(default_factory=Structs)
    has_bind: bool = False  # Whether cel.bind() is there.

    def with_bind(self) -> "Environment":
        return replace(self, has_bind=True)

    def with_variables(self, variables: Mapping[str, Type]) -> "Environment":
        return replace(self, variables={**self.variables, **variables})

    def with_structs(self, structs: Structs) -> "Environment":
        return replace(self, structs=structs)

    def with_library(self, library: Library) -> "Environment":
        """Overloads of a function that is there already come behind its own."""
        functions = dict(self.functions)
        for name, overloads in declarations.functions(library.table).items():
            known = functions.get(name)
            before = known.overloads if known else ()
            functions[name] = Function(name, before + overloads)
        return replace(
            self,
            functions=functions,
            implementations={**self.implementations, **library.implementations},
            types={**self.types, **library.types},
        )


_EMPTY: Final[Mapping[str, Any]] = {}


@lru_cache(maxsize=1)
def base() -> Environment:
    """With all functions that Kubernetes has everywhere, and no variables."""
    from tiphys.cel.library import all_libraries

    made = Environment(_EMPTY, _EMPTY, types.NAMES)
    for library in all_libraries():
        made = made.with_library(library)
    return made
