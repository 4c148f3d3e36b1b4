"""Percentages of fields that take a number or a percentage. Pure.

Upstream: apimachinery pkg/util/intstr.
"""

from typing import Final

_DIGITS_MAX: Final = 18  # An int64 holds them; strconv.Atoi gives the greatest for what is beyond.
PERCENTAGE_MAX: Final = 2**63 - 1


def percentage(text: str) -> int:
    """The number of "93%", however many digits were written. It must be well-formed."""
    digits = text.removesuffix("%").lstrip("0")
    return int(digits or 0) if len(digits) <= _DIGITS_MAX else PERCENTAGE_MAX
