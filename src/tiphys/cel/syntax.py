"""The tree of an expression. Each node has an own number, under which others note what they find.

Source: cel-spec proto/cel/expr/syntax.proto.
"""

from dataclasses import dataclass
from typing import Any, Final

# The variable in which a macro's loop gathers its result. No expression can name it.
RESULT: Final = "@result"


@dataclass(slots=True, eq=False)
class Node:
    id: int
    offset: int  # Of the sign that is told of when something is wrong, in characters.


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(slots=True, eq=False)
class Select(Node):
    operand: Node
    field: str
    is_test: bool = False  # has(operand.field)


@dataclass(slots=True, eq=False)
class Call(Node):
    """Operators are functions with the names of `operators`."""

    function: str
    target: Node | None
    args: list[Node]


@dataclass(slots=True, eq=False)
class CreateList(Node):
    elements: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class Entry(Node):
    key: Node
    value: Node
    is_optional: bool


@dataclass(slots=True, eq=False)
class CreateMap(Node):
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class FieldValue(Node):
    name: str
    value: Node
    is_optional: bool


@dataclass(slots=True, eq=False)
class CreateStruct(Node):
    name: str
    fields: list[FieldValue]


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """A loop: `accumulator` begins as `start` and becomes `step` while `condition` holds."""

    variable: str
    variable2: str  # Empty where there is one only.
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


# Names of operators as functions.
AND, OR, NOT, CONDITIONAL = "_&&_", "_||_", "!_", "_?_:_"
EQUALS, NOT_EQUALS, IN = "_==_", "_!=_", "@in"
LESS, LESS_EQUALS, GREATER, GREATER_EQUALS = "_<_", "_<=_", "_>_", "_>=_"
ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO, NEGATE = "_+_", "_-_", "_*_", "_/_", "_%_", "-_"
INDEX, OPTIONAL_INDEX, OPTIONAL_SELECT = "_[_]", "_[?_]", "_?._"
NOT_STRICTLY_FALSE = "@not_strictly_false"
MAP_INSERT = "cel.@mapInsert"
