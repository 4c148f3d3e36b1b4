"""Resource quantities as numbers. Upstream: apimachinery pkg/api/resource quantity.go."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Final

_FORM: Final = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE]?))$")
_SUFFIXES: Final = {
    "": Decimal(1),
    **{s: Decimal(10) ** (3 * i) for i, s in enumerate("numkMGTPE", start=-3) if s not in "kMGTPE"},
    **{s: Decimal(1000) ** i for i, s in enumerate("kMGTPE", start=1)},
    **{f"{s}i": Decimal(1024) ** i for i, s in enumerate("KMGTPE", start=1)},
}


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """The exact value of `100m`, `1.5Gi`, `2e3`. Raises ValueError."""
    found = _FORM.match(text)
    if found is None:
        raise ValueError(f"not a quantity: {text!r}")
    number, exponent, suffix = found.groups()
    if exponent:
        return Decimal(number + exponent)
    return Decimal(number) * _SUFFIXES[suffix or ""]


def value(text: str | int | float) -> int:
    """Whole units, rounded up."""
    return int(parse(str(text)).to_integral_value(ROUND_CEILING))


def milli_value(text: str | int | float) -> int:
    """Thousandths, rounded up."""
    return int((parse(str(text)) * 1000).to_integral_value(ROUND_CEILING))


def divided(text: str | int | float, divisor: str) -> int:
    """How often divisor goes into the quantity, rounded up. Upstream: resource.ExtractValue."""
    by = parse(divisor) or Decimal(1)
    return int((parse(str(text)) / by).to_integral_value(ROUND_CEILING))


def total(texts: list[str]) -> str:
    """The sum as a quantity in the form of the first that is not zero."""
    if len(texts) == 1:
        return texts[0]
    amount = sum((parse(t) for t in texts), Decimal(0))
    binary = any(t.endswith("i") for t in texts)
    return canonical(amount, binary=binary)


def larger(one: str, other: str) -> str:
    return one if parse(one) >= parse(other) else other


def canonical(amount: Decimal, *, binary: bool) -> str:
    """The shortest exact form: the largest suffix that leaves a whole number."""
    if amount == 0:
        return "0"
    if binary and amount == amount.to_integral_value():
        for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
            if amount % _SUFFIXES[suffix] == 0:
                return f"{int(amount / _SUFFIXES[suffix])}{suffix}"
        return str(int(amount))
    for suffix in ("E", "P", "T", "G", "M", "k", "", "m", "u", "n"):
        scaled = amount / _SUFFIXES[suffix]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int((amount / _SUFFIXES['n']).to_integral_value(ROUND_CEILING))}n"


def milli_of(resources: Mapping[str, str | int | float], name: str) -> int:
    """Thousandths of a resource in a list; 0 where it is absent."""
    return milli_value(resources[name]) if name in resources else 0


def value_of(resources: Mapping[str, str | int | float], name: str) -> int:
    return value(resources[name]) if name in resources else 0
