"""From text to tokens.

A token's kind is the word that error texts use for it: `'=='` in quotes, or `NUM_INT`.
Source: cel-go parser/gen/CEL.g4 (lexer rules); doc/langdef.md (Syntax).
"""

import re
from dataclasses import dataclass
from typing import Final

from tiphys.cel.errors import Issue

END: Final = "<EOF>"
IDENTIFIER: Final = "IDENTIFIER"
QUOTED_IDENTIFIER: Final = "ESC_IDENTIFIER"
STRING: Final = "STRING"
BYTES: Final = "BYTES"
INT: Final = "NUM_INT"
UINT: Final = "NUM_UINT"
FLOAT: Final = "NUM_FLOAT"

# In the order in which texts list what was expected.
_FIXED: Final = (
    *("==", "!=", "in", "<", "<=", ">=", ">", "&&", "||", "[", "]", "{", "}", "(", ")", "."),
    *(",", "-", "!", "?", ":", "+", "*", "/", "%", "true", "false", "null"),
)
_ORDER: Final = (
    *(f"'{text}'" for text in _FIXED),
    *(FLOAT, INT, UINT, STRING, BYTES, IDENTIFIER, QUOTED_IDENTIFIER),
)
RANK: Final = {kind: rank for rank, kind in enumerate(_ORDER)} | {END: -1}
_WORDS: Final = frozenset({"in", "true", "false", "null"})

_ESCAPE: Final = (
    r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
)
_TEXT: Final = (
    rf'[rR]"""[\s\S]*?"""|[rR]\'\'\'[\s\S]*?\'\'\'|[rR]"[^"\n\r]*"|[rR]\'[^\'\n\r]*\''
    rf'|"""(?:{_ESCAPE}|[^\\])*?"""|\'\'\'(?:{_ESCAPE}|[^\\])*?\'\'\''
    rf'|"(?:{_ESCAPE}|[^\\"\n\r])*"|\'(?:{_ESCAPE}|[^\\\'\n\r])*\''
)
_HIDDEN: Final = re.compile(r"(?:[\t \r\n\f]+|//[^\n]*)+")
_TOKEN: Final = re.compile(
    rf"(?P<BYTES>[bB](?:{_TEXT}))"
    rf"|(?P<STRING>{_TEXT})"
    r"|(?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/ ]+`)"
    r"|(?P<NUM_FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+"
    r"|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])"
    r"|(?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)"
    r"|(?P<FIXED>==|!=|<=|>=|&&|\|\||[<>\[\]{}().,\-!?:+*/%])"
)
# What begins a text that does not end: the error takes in all that could have been part of it.
_BEGUN: Final = re.compile(
    rf'[bB]?(?:[rR](?:"[^"\n\r]*|\'[^\'\n\r]*)|"(?:{_ESCAPE}|[^\\"\n\r])*|\'(?:{_ESCAPE}|[^\\\'\n\r])*)'
)
_BEGUN_ESCAPE: Final = re.compile(
    r"\\(?:[xX][0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7}|[0-3][0-7]?)?"
)
_BEGUN_NAME: Final = re.compile(r"`[A-Za-z0-9_.\-/ ]*")


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    offset: int


def tokens(source: str) -> tuple[list[Token], list[Issue]]:
    """All tokens with one END behind them, and what could not be read."""
    found: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while True:
        if hidden := _HIDDEN.match(source, at):
            at = hidden.end()
        if at >= len(source):
            found.append(Token(END, END, len(source)))
            return found, issues
        match = _TOKEN.match(source, at)
        if match is None:
            text = _unreadable(source, at)
            issues.append(Issue(at, f"Syntax error: token recognition error at: '{_told(text)}'"))
            at += len(text)
            continue
        text = match[0]
        found.append(Token(_kind(match.lastgroup or "", text), text, at))
        at = match.end()


def _kind(group: str, text: str) -> str:
    if group == "FIXED" or (group == IDENTIFIER and text in _WORDS):
        return f"'{text}'"
    return group


def _unreadable(source: str, at: int) -> str:
    """What a lexer has taken in when it gives up, with the character that stopped it."""
    end = at
    if begun := _BEGUN.match(source, at):
        end = begun.end()
        if escape := _BEGUN_ESCAPE.match(source, end):
            end = escape.end()
    elif begun := _BEGUN_NAME.match(source, at):
        end = begun.end()
    elif source[at] in "&|=":
        end = at + 1
    return source[at : end + 1]


def _told(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
