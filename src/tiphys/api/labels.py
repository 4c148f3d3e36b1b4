"""Label selectors: the text form of queries and the LabelSelector objects of specs.

Upstream: apimachinery pkg/labels/selector.go, pkg/apis/meta/v1/helpers.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiphys.api.meta import Obj
from tiphys.api.names import label_value, qualified_name

Labels = Mapping[str, str]

_OPERATORS: Final = ("!", "=", "==", "in", "!=", "notin", "gt", "lt")
_BINARY: Final = "in, notin, =, ==, !=, gt, lt"
_SYMBOLS: Final = frozenset("=!(),><")


class SelectorError(ValueError):
    """A selector that cannot be understood; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition: operator is one of in, notin, exists, !, gt, lt (= and != are in, notin)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        try:
            have, want = int(value), int(self.values[0])
        except ValueError:
            return False
        return have > want if self.operator == "gt" else have < want

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "gt":
                return f"{self.key}>{self.values[0]}"
            case "lt":
                return f"{self.key}<{self.values[0]}"
            case _:
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements hold. Without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False  # Matches no object at all.
    equalities: frozenset[str] = frozenset()  # Keys that were written with `=`, for printing.

    def matches(self, labels: Labels) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    @property
    def is_everything(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(self._text(r) for r in self.requirements)

    def _text(self, requirement: Requirement) -> str:
        if requirement.key in self.equalities and len(requirement.values) == 1:
            sign = "=" if requirement.operator == "in" else "!="
            return f"{requirement.key}{sign}{requirement.values[0]}"
        return str(requirement)


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def parse(text: str) -> Selector:
    """`a=b,c!=d,e in (f,g),!h`. Raises SelectorError with upstream's text."""
    return _Parser(text).parse()


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, literal): kind is a symbol, "in", "notin", "id" or "end"."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        c = text[at]
        if c in " \t\r\n":
            at += 1
            continue
        start = at
        if c in _SYMBOLS:
            at += 1
            while at < len(text) and text[start : at + 1] in {"==", "!="}:
                at += 1
            found.append((text[start:at], text[start:at]))
        else:
            while at < len(text) and text[at] not in _SYMBOLS and text[at] not in " \t\r\n":
                at += 1
            word = text[start:at]
            found.append((word if word in {"in", "notin"} else "id", word))
    return [*found, ("end", "")]


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._equalities: set[str] = set()

    def _peek(self, *, as_value: bool = False) -> tuple[str, str]:
        kind, literal = self._tokens[self._at]
        return ("id" if as_value and kind in {"in", "notin"} else kind), literal

    def _take(self, *, as_value: bool = False) -> tuple[str, str]:
        token = self._peek(as_value=as_value)
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def parse(self) -> Selector:
        found: list[Requirement] = []
        while True:
            kind, literal = self._peek(as_value=True)
            if kind == "end":
                break
            if kind not in {"id", "!"}:
                raise SelectorError(
                    f"found '{literal}', expected: !, identifier, or 'end of string'"
                )
            found.append(self._requirement())
            kind, literal = self._take(as_value=True)
            if kind == "end":
                break
            if kind != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            after, text = self._peek(as_value=True)
            if after not in {"id", "!"}:
                raise SelectorError(f"found '{text}', expected: identifier after ','")
        return Selector(
            tuple(sorted(found, key=lambda r: r.key)), equalities=frozenset(self._equalities)
        )

    def _requirement(self) -> Requirement:
        try:
            return self._parse_requirement()
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None

    def _parse_requirement(self) -> Requirement:
        negated = self._peek()[0] == "!"
        if negated:
            self._take()
        kind, key = self._take(as_value=True)
        if kind != "id":
            raise SelectorError(f"found '{key}', expected: identifier")
        if texts := qualified_name(key):
            raise SelectorError(f'<nil>: Invalid value: "{key}": {"; ".join(texts)}')
        if negated:
            return Requirement(key, "!")
        if self._peek()[0] in {"end", ","}:
            return Requirement(key, "exists")
        kind, literal = self._take()
        if kind in {"in", "notin"}:
            return _checked(Requirement(key, kind, self._values()))
        if kind in {"=", "==", "!="}:
            self._equalities.add(key)
            operator = "notin" if kind == "!=" else "in"
            return _checked(Requirement(key, operator, (self._exact_value(),)))
        if kind in {">", "<"}:
            value = self._exact_value()
            return _checked(Requirement(key, "gt" if kind == ">" else "lt", (value,)))
        raise SelectorError(f"found '{literal}', expected: {_BINARY}")

    def _exact_value(self) -> str:
        if self._peek(as_value=True)[0] in {"end", ","}:
            return ""
        kind, literal = self._take(as_value=True)
        if kind != "id":
            raise SelectorError(f"found '{literal}', expected: identifier")
        return literal

    def _values(self) -> tuple[str, ...]:
        kind, literal = self._take(as_value=True)
        if kind != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        found: list[str] = []
        kind, literal = self._peek(as_value=True)
        if kind not in {"id", ",", ")"}:
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        expect_value = True
        while True:
            kind, literal = self._take(as_value=True)
            if kind == "id" and expect_value:
                found.append(literal)
                expect_value = False
            elif kind == ",":
                if expect_value:
                    found.append("")
                expect_value = True
            elif kind == ")":
                if expect_value:
                    found.append("")
                return tuple(dict.fromkeys(found))
            else:
                wanted = "',', or identifier" if expect_value else "',' or ')'"
                raise SelectorError(f"found '{literal}', expected: {wanted}")


def _checked(requirement: Requirement) -> Requirement:
    key, operator, values = requirement.key, requirement.operator, requirement.values
    if operator in {"gt", "lt"} and not _is_integer(values[0]):
        raise SelectorError(
            f"values[0]: Invalid value: \"{values[0]}\": for 'Gt', 'Lt' operators, "
            "the value must be an integer"
        )
    for index, value in enumerate(values):
        if texts := label_value(value):
            where = f"values[{index}][{key}]"
            raise SelectorError(f'{where}: Invalid value: "{value}": {"; ".join(texts)}')
    return requirement


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    return digits.isascii() and digits.isdigit()


_OBJECT_OPERATORS: Final = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": "gt",
    "Lt": "lt",
}


def from_object(selector: Obj | None) -> Selector:
    """A LabelSelector: none at all matches nothing, an empty one everything.

    Raises SelectorError for an operator that is not one.
    """
    if selector is None:
        return NOTHING
    found = [Requirement(k, "in", (v,)) for k, v in (selector.get("matchLabels") or {}).items()]
    equalities = frozenset(r.key for r in found)
    for expression in selector.get("matchExpressions") or []:
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(
                f'"{expression.get("operator", "")}" is not a valid label selector operator'
            )
        values = tuple(expression.get("values") or ())
        found.append(Requirement(expression.get("key", ""), operator, values))
    return Selector(tuple(sorted(found, key=lambda r: r.key)), equalities=equalities)


def from_set(labels: Labels | None) -> Selector:
    """Equality with each label; none at all matches everything."""
    found = sorted((labels or {}).items())
    return Selector(
        tuple(Requirement(k, "in", (v,)) for k, v in found),
        equalities=frozenset(k for k, _ in found),
    )


def matches_object(selector: Obj | None, labels: Labels) -> bool:
    return from_object(selector).matches(labels)


def node_selector_matches(expressions: Sequence[Obj], labels: Labels) -> bool:
    """The matchExpressions of a node selector term. Raises SelectorError."""
    return from_object({"matchExpressions": list(expressions)}).matches(labels)


def format_object(selector: Obj | None) -> str:
    """As upstream prints a LabelSelector: `<none>`, `a=b,c in (d,e)`."""
    if selector is None:
        return "<none>"
    return str(from_object(selector)) or "<none>"
