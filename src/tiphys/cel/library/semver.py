"""Semantic versions, version 1 of the library.

Upstream: apiserver/pkg/cel/library/semverlib.go; github.com/blang/semver; semver.org 2.0.0.
"""

import re
from functools import total_ordering
from typing import Final

import orjson

from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError

SEMVER: Final = types.struct("kubernetes.Semver")
_TABLE: Final = """
semver    string_to_semver        (string) -> kubernetes.Semver
semver    string_bool_to_semver   (string, bool) -> kubernetes.Semver
isSemver  is_semver_string        (string) -> bool
isSemver  is_semver_string_bool   (string, bool) -> bool
isGreaterThan  semver_is_greater_than  kubernetes.Semver.(kubernetes.Semver) -> bool
isLessThan     semver_is_less_than     kubernetes.Semver.(kubernetes.Semver) -> bool
compareTo      semver_compare_to       kubernetes.Semver.(kubernetes.Semver) -> int
major     semver_major            kubernetes.Semver.() -> int
minor     semver_minor            kubernetes.Semver.() -> int
patch     semver_patch            kubernetes.Semver.() -> int
"""
_NUMBER: Final = re.compile(r"\d+", re.ASCII)
_WORD: Final = re.compile(r"[0-9A-Za-z-]+", re.ASCII)
_UINT64_MAX: Final = 2**64 - 1


@total_ordering
class Semver:
    __slots__ = ("major", "minor", "patch", "pre")
    cel_type = SEMVER

    def __init__(self, numbers: list[int], pre: tuple[int | str, ...]) -> None:
        self.major, self.minor, self.patch = numbers
        self.pre = pre

    def _key(self) -> tuple[object, ...]:
        """A version with a pre-release comes before the one without; numbers before words."""
        pre = tuple((isinstance(one, str), one) for one in self.pre)
        return self.major, self.minor, self.patch, not pre, pre

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._key() == other._key()

    def __lt__(self, other: "Semver") -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _parsed(text: str, normalize: bool = False) -> Semver:
    """Raises EvaluationError."""
    parts = (_normalized(text) if normalize else text).split(".", 2)
    if not text:
        raise EvaluationError("Version string empty")
    if len(parts) != 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    release, _, build = parts[2].partition("+")
    patch, dash, pre = release.partition("-")
    numbers = [_number(parts[0], "major"), _number(parts[1], "minor"), _number(patch, "patch")]
    words = tuple(_pre(one) for one in pre.split(".")) if dash else ()
    if "+" in parts[2]:
        for one in build.split("."):
            if not _WORD.fullmatch(one):
                raise EvaluationError(_bad("build meta data", one))
    return Semver(numbers, words)


def _bad(what: str, text: str) -> str:
    if not text:
        return f"{what.capitalize()} is empty"
    return f"Invalid character(s) found in {what} {orjson.dumps(text).decode()}"


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text) or len(text) > 20 or int(text) > _UINT64_MAX:
        shown = orjson.dumps(text).decode()
        raise EvaluationError(f"Invalid character(s) found in {what} number {shown}")
    if len(text) > 1 and text.startswith("0"):
        shown = orjson.dumps(text).decode()
        raise EvaluationError(f"{what.capitalize()} number must not contain leading zeroes {shown}")
    return int(text)


def _pre(text: str) -> int | str:
    if not _WORD.fullmatch(text):
        raise EvaluationError(_bad("prerelease", text))
    if not _NUMBER.fullmatch(text):
        return text
    if len(text) > 1 and text.startswith("0"):
        shown = orjson.dumps(text).decode()
        raise EvaluationError(f"Numeric PreRelease version must not contain leading zeroes {shown}")
    return int(text) if len(text) <= 20 else text


def _normalized(text: str) -> str:
    """Without a `v`, with three numbers, without leading zeros."""
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[index] = stripped if stripped[:1].isdigit() else f"0{stripped}"
    if len(parts) < 3 and any(sign in parts[-1] for sign in "+-"):
        raise EvaluationError("Short version cannot contain PreRelease/Build meta data")
    return ".".join(parts + ["0"] * (3 - len(parts)))


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _parsed(text, normalize)
    except EvaluationError:
        return False
    return True


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_to_semver": _parsed,
        "string_bool_to_semver": _parsed,
        "is_semver_string": _is_semver,
        "is_semver_string_bool": _is_semver,
        "semver_is_greater_than": lambda one, other: one > other,
        "semver_is_less_than": lambda one, other: one < other,
        "semver_compare_to": lambda one, other: (one > other) - (one < other),
        "semver_major": lambda one: one.major,
        "semver_minor": lambda one: one.minor,
        "semver_patch": lambda one: one.patch,
    },
    {"kubernetes.Semver": SEMVER},
)
