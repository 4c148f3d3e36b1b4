"""Quantities. Upstream: apiserver/pkg/cel/library/quantity.go."""

from typing import Final

from tiphys.api import quantity
from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError
from tiphys.cel.values import INT_MAX, INT_MIN

QUANTITY: Final = types.struct("kubernetes.Quantity")
_TABLE: Final = """
quantity       string_to_quantity        (string) -> @
isQuantity     is_quantity_string        (string) -> bool
sign           quantity_sign             (@) -> int
isGreaterThan  quantity_is_greater_than  @.(@) -> bool
isLessThan     quantity_is_less_than     @.(@) -> bool
compareTo      quantity_compare_to       @.(@) -> int
asApproximateFloat  quantity_get_float   @.() -> double
asInteger      quantity_get_int          @.() -> int
isInteger      quantity_is_integer       @.() -> bool
add            quantity_add              @.(@) -> @
add            quantity_add_int          @.(int) -> @
sub            quantity_sub              @.(@) -> @
sub            quantity_sub_int          @.(int) -> @
""".replace("@", QUANTITY.name)


class Quantity:
    __slots__ = ("nanos",)
    cel_type = QUANTITY

    def __init__(self, nanos: int) -> None:
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)


def _parsed(text: str) -> Quantity:
    try:
        return Quantity(quantity.parse(text).nanos)
    except quantity.QuantityError as error:
        raise EvaluationError(str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.QuantityError:
        return False
    return True


def _compared(one: Quantity, other: Quantity) -> int:
    return (one.nanos > other.nanos) - (one.nanos < other.nanos)


def _is_integer(one: Quantity) -> bool:
    whole, part = divmod(one.nanos, quantity.NANO)
    return not part and INT_MIN <= whole <= INT_MAX


def _as_integer(one: Quantity) -> int:
    if not _is_integer(one):
        raise EvaluationError("cannot convert value to integer")
    return one.nanos // quantity.NANO


def _sign(one: Quantity) -> int:
    return (one.nanos > 0) - (one.nanos < 0)


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_to_quantity": _parsed,
        "is_quantity_string": _is_quantity,
        "quantity_sign": _sign,
        "quantity_is_greater_than": lambda one, other: one.nanos > other.nanos,
        "quantity_is_less_than": lambda one, other: one.nanos < other.nanos,
        "quantity_compare_to": _compared,
        "quantity_get_float": lambda one: one.nanos / quantity.NANO,
        "quantity_get_int": _as_integer,
        "quantity_is_integer": _is_integer,
        "quantity_add": lambda one, other: Quantity(one.nanos + other.nanos),
        "quantity_add_int": lambda one, count: Quantity(one.nanos + count * quantity.NANO),
        "quantity_sub": lambda one, other: Quantity(one.nanos - other.nanos),
        "quantity_sub_int": lambda one, count: Quantity(one.nanos - count * quantity.NANO),
    },
    {"kubernetes.Quantity": QUANTITY},
)
