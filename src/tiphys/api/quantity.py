"""Quantities: exact amounts of resources with upstream's three notations and canonical text.

Upstream: apimachinery pkg/api/resource/quantity.go, suffix.go. Amounts are whole nano units;
what is smaller is rounded up to one, as upstream does.
"""

import re
from dataclasses import dataclass
from typing import Final

NANO: Final = 10**9  # Nano units in one.
_EXPONENT_MAX: Final = 40  # Bounds the numbers that an exponent in a text can make us build.
_DIGITS_MAX: Final = 100  # Far beyond any amount; a text may be as long as a request's body.
_BINARY_MAX: Final = (2**63 - 1) * NANO  # Upstream caps what is written with binary suffixes.
_FORMAT_TEXT: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_QUANTITY: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)\Z")
_DECIMAL: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {v: k for k, v in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {v // 10: k for k, v in _BINARY.items()} | {0: ""}


class QuantityError(ValueError):
    """A text that is not a quantity; the message is upstream's."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An amount in nano units, the notation it is written in, and its text if that is canonical."""

    nanos: int
    format: str = "decimal"  # "decimal", "binary" or "exponent"
    text: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: "Quantity") -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: "Quantity") -> bool:
        return self.nanos <= other.nanos

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    @property
    def value(self) -> int:
        """Whole units, rounded up (away from zero), as upstream's Value()."""
        return _divided_up(self.nanos, NANO)

    @property
    def milli_value(self) -> int:
        """Thousandths, rounded up (away from zero), as upstream's MilliValue()."""
        return _divided_up(self.nanos, 10**6)

    def __str__(self) -> str:
        return self.text or canonical(self.nanos, self.format)


ZERO: Final = Quantity(0)


def _divided_up(amount: int, by: int) -> int:
    return -(-amount // by) if amount >= 0 else amount // by


def parse(text: str) -> Quantity:
    """Raises QuantityError with upstream's text."""
    if not text:
        raise QuantityError(_FORMAT_TEXT)
    match = _QUANTITY.match(text)
    if match is None:
        raise QuantityError(_FORMAT_TEXT)
    sign, whole, fraction, suffix = match[1], match[2].lstrip("0"), match[3] or "", match[4]
    base, exponent, notation = _suffix(suffix)
    digits = (whole or "0") + fraction
    if len(digits) > _DIGITS_MAX:
        raise QuantityError("unable to parse numeric part of quantity")
    amount = _nanos(digits, len(fraction), base, exponent)
    if notation == "binary":
        amount = min(amount, _BINARY_MAX)
        if 0 < amount < NANO:
            notation = "decimal"
    keeps = _is_canonical(digits, fraction, notation, exponent)
    return Quantity(-amount if sign == "-" else amount, notation, text if keeps else "")


def _suffix(suffix: str) -> tuple[int, int, str]:
    """(base, exponent, notation)."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], "decimal"
    if suffix in _BINARY:
        return 2, _BINARY[suffix], "binary"
    if suffix[0] in "eE" and re.fullmatch("[+-]?[0-9]+", suffix[1:]):
        exponent = max(-_EXPONENT_MAX, min(int(suffix[1:]), _EXPONENT_MAX))
        return 10, exponent, "exponent"
    raise QuantityError("unable to parse quantity's suffix")


def _nanos(digits: str, places: int, base: int, exponent: int) -> int:
    amount = int(digits)
    power = 9 - places + (exponent if base == 10 else 0)
    if base == 2:
        amount <<= exponent
    return amount * 10**power if power >= 0 else _divided_up(amount, 10**-power)


def _is_canonical(digits: str, fraction: str, notation: str, exponent: int) -> bool:
    """Whether upstream keeps the text as it was written."""
    if digits == "0":
        return False
    if notation == "binary":
        return not fraction and bool(int(digits) & 7) and int(digits) < 2**53
    scale = exponent - len(fraction)
    return (
        scale >= -9
        and scale % 3 == 0
        and not digits.endswith("000")
        and digits[0] != "0"
        and len(digits) <= 18
    )


def canonical(nanos: int, notation: str) -> str:
    """The text of an amount: no fraction, the largest suffix that loses nothing."""
    if not nanos:
        return "0"
    if notation == "binary":
        whole, rest = divmod(abs(nanos), NANO)
        if whole >= 1024 and not rest:
            power = 0
            while whole >= 1024 and not whole % 1024 and power < 6:
                whole //= 1024
                power += 1
            return f"{'-' if nanos < 0 else ''}{whole}{_BINARY_SUFFIX[power]}"
        notation = "decimal"
    amount, exponent = abs(nanos), -9
    while not amount % 1000 and (notation == "exponent" or exponent < 18):
        amount //= 1000
        exponent += 3
    sign = "-" if nanos < 0 else ""
    if notation == "exponent":
        return f"{sign}{amount}{f'e{exponent}' if exponent else ''}"
    return f"{sign}{amount}{_DECIMAL_SUFFIX[exponent]}"


def normal(value: object) -> str:
    """The canonical text of a quantity as it stands in JSON (a string or a number).

    Raises QuantityError.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise QuantityError(_FORMAT_TEXT)
    text = value.strip() if isinstance(value, str) else _number_text(value)
    return str(parse(text))


def _number_text(value: float) -> str:
    return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)


def of(value: object) -> Quantity:
    """A quantity in JSON form; nothing counts as zero. Raises QuantityError."""
    if value is None:
        return ZERO
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise QuantityError(_FORMAT_TEXT)
    return parse(value if isinstance(value, str) else _number_text(value))


def from_value(value: int, notation: str = "decimal") -> Quantity:
    """Whole units."""
    return Quantity(value * NANO, notation)


def from_millis(millis: int, notation: str = "decimal") -> Quantity:
    return Quantity(millis * 10**6, notation)
