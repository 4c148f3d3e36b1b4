"""Field selectors: `metadata.name=x,status.phase!=Running`.

Upstream: apimachinery pkg/fields/selector.go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final


class FieldSelectorError(ValueError):
    """A field selector that cannot be understood; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    field: str
    value: str
    equal: bool = True  # False for `!=`.

    def matches(self, value_of: Callable[[str], str]) -> bool:
        return (value_of(self.field) == self.value) is self.equal

    def __str__(self) -> str:
        return f"{self.field}{'=' if self.equal else '!='}{escape(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements hold; without any, everything matches."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, values: Mapping[str, str]) -> bool:
        """A field that is not in values counts as empty."""
        return all(r.matches(lambda name: values.get(name, "")) for r in self.requirements)

    @property
    def is_everything(self) -> bool:
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """The one value that a field must have, or None."""
        return next((r.value for r in self.requirements if r.field == field and r.equal), None)

    def __str__(self) -> str:
        return ",".join(str(r) for r in self.requirements)


EVERYTHING: Final = FieldSelector()


def parse(text: str) -> FieldSelector:
    """Raises FieldSelectorError with upstream's text."""
    found: list[FieldRequirement] = []
    for part in _split(text):
        if not part:
            continue
        name, operator, value = _split_part(part)
        if not operator:
            raise FieldSelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        found.append(FieldRequirement(name, _unescaped(value, part), operator != "!="))
    return FieldSelector(tuple(sorted(found, key=lambda r: r.field)))


def _split(text: str) -> list[str]:
    """At commas that no backslash precedes."""
    parts, start, escaped = [], 0, False
    for at, c in enumerate(text):
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == ",":
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _split_part(part: str) -> tuple[str, str, str]:
    """The first operator in the text counts: `!=`, `==` or `=`."""
    for at in range(len(part)):
        for operator in ("!=", "==", "="):
            if part.startswith(operator, at):
                return part[:at], operator, part[at + len(operator) :]
    return part, "", ""


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescaped(value: str, part: str) -> str:
    out: list[str] = []
    chars = iter(value)
    for c in chars:
        if c == "\\":
            after = next(chars, "")
            if after not in {"\\", ",", "="} or not after:
                raise FieldSelectorError(
                    f"invalid field selector: invalid escape sequence: \\{after}"
                )
            out.append(after)
        elif c in {",", "="}:
            raise FieldSelectorError(f"invalid field selector: unescaped character in value: {c}")
        else:
            out.append(c)
    return "".join(out)
