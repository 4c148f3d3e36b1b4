"""Words of an instruction: quotes, escapes, variables. Pure.

Source: docs.docker.com/reference/dockerfile#environment-replacement.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_KEY: Final = re.compile(r"[^\s=]+=")


class WordError(ValueError):
    """A word that cannot be understood."""


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The word without its quotes, with the values of its variables ("" for unknown ones).

    Raises: WordError.
    """
    return _Reader(word, variables, escape).read()


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text = text
        self._variables = variables
        self._escape = escape
        self._at = 0

    def read(self, end: str = "") -> str:
        """Until `end` or the end of the text."""
        out: list[str] = []
        while self._at < len(self._text):
            char = self._next()
            if char == end:
                return "".join(out)
            if char == "'":
                out.append(self._single())
            elif char == '"':
                out.append(self._double())
            elif char == "$":
                out.append(self._variable())
            elif char == self._escape:
                out.append(self._next() if self._at < len(self._text) else char)
            else:
                out.append(char)
        if end:
            raise WordError(f"missing {end} in {self._text!r}")
        return "".join(out)

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _single(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise WordError(
                f"unexpected end of statement while looking for matching ': {self._text}"
            )
        found, self._at = self._text[self._at : end], end + 1
        return found

    def _double(self) -> str:
        out: list[str] = []
        while self._at < len(self._text):
            char = self._next()
            if char == '"':
                return "".join(out)
            if char == "$":
                out.append(self._variable())
            elif char == self._escape and self._text[self._at : self._at + 1] in (
                '"',
                "$",
                self._escape,
            ):
                out.append(self._next())
            else:
                out.append(char)
        raise WordError(f'unexpected end of statement while looking for matching ": {self._text}')

    def _variable(self) -> str:
        if self._text[self._at : self._at + 1] != "{":
            match = _NAME.match(self._text, self._at)
            if match is None:
                return "$"
            self._at = match.end()
            return self._variables.get(match[0], "")
        match = _NAME.match(self._text, self._at + 1)
        if match is None:
            raise WordError(f"bad substitution in {self._text!r}")
        self._at = match.end()
        return self._modified(match[0])

    def _modified(self, name: str) -> str:
        """What follows a name in braces: `}`, or one of - + ? with or without a colon."""
        value = self._variables.get(name)
        kind = self._next() if self._at < len(self._text) else ""
        if kind == "}":
            return value or ""
        if colon := kind == ":":
            kind = self._next() if self._at < len(self._text) else ""
        if kind not in ("-", "+", "?") or not kind:
            raise WordError(f"unsupported modifier ({kind}) in substitution of {name}")
        word = self.read("}")
        is_set = bool(value) if colon else value is not None
        if kind == "+":
            return word if is_set else ""
        if not is_set and kind == "?":
            raise WordError(f"{name}: {word or 'not allowed to be unset'}")
        return (value or "") if is_set else word


def split(text: str, escape: str = "\\") -> Iterator[str]:
    """Words between blanks, their quotes kept; a quoted or escaped blank does not divide."""
    word, quote, index = "", "", 0
    while index < len(text):
        char = text[index]
        if char == escape and quote != "'" and index + 1 < len(text):
            word += text[index : index + 2]
            index += 2
            continue
        index += 1
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            if word:
                yield word
            word = ""
            continue
        word += char
    if word:
        yield word


def pairs(
    text: str, variables: Mapping[str, str], escape: str = "\\", *, legacy: bool = True
) -> dict[str, str]:
    """`k=v k2="v 2"` of ENV and LABEL, or the old form `k the whole rest`.

    Raises: WordError.
    """
    words = list(split(text, escape))
    if legacy and not _KEY.match(words[0]):
        key, _, value = text.partition(" ")
        if not value.strip():
            raise WordError(f"{key} needs a value")
        return {expand(key, variables, escape): expand(value.strip(), variables, escape)}
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise WordError(f"can't find = in {word!r}. Must be of the form: name=value")
        found[expand(key, variables, escape)] = expand(value, variables, escape)
    return found
