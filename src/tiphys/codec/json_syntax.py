"""What is wrong with a text that is not JSON, in the words of Go's scanner.

Upstream: encoding/json scanner.go.
"""

from typing import Final

_END: Final = "unexpected end of JSON input"
_SPACE: Final = " \t\r\n"
_ESCAPES: Final = '"\\/bfnrt'
_DEPTH_MAX: Final = 10000  # encoding/json maxNestingDepth.


def syntax_error(data: bytes) -> str:
    """Go's message for the first fault of a text, or that of an unknown one."""
    try:
        scanner = _Scanner(data.decode("utf-8", "replace"))
        scanner.value(0)
        scanner.space()
        if scanner.at < len(scanner.text):
            scanner.fail("after top-level value")
    except _Fault as fault:
        return str(fault)
    except RecursionError:
        return "exceeded max depth"
    return "invalid JSON"


class _Fault(Exception):
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self) -> str:
        if self.at >= len(self.text):
            raise _Fault(_END)
        return self.text[self.at]

    def fail(self, where: str) -> None:
        c = self.peek()
        quoted = {"'": "'\\''", '"': "'\"'"}.get(c) or f"'{c.encode('unicode_escape').decode()}'"
        raise _Fault(f"invalid character {quoted} {where}")

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def value(self, depth: int) -> None:
        self.space()
        c = self.peek()
        if depth > _DEPTH_MAX:
            raise _Fault("exceeded max depth")
        if c == "{":
            self.object(depth)
        elif c == "[":
            self.array(depth)
        elif c == '"':
            self.string()
        elif c == "-" or c.isdigit():
            self.number()
        elif c in "tfn":
            self.word({"t": "true", "f": "false", "n": "null"}[c])
        else:
            self.fail("looking for beginning of value")

    def object(self, depth: int) -> None:
        self.at += 1
        self.space()
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            self.space()
            if self.peek() != '"':
                self.fail("looking for beginning of object key string")
            self.string()
            self.space()
            if self.peek() != ":":
                self.fail("after object key")
            self.at += 1
            self.value(depth + 1)
            self.space()
            c = self.peek()
            if c == "}":
                self.at += 1
                return
            if c != ",":
                self.fail("after object key:value pair")
            self.at += 1

    def array(self, depth: int) -> None:
        self.at += 1
        self.space()
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.value(depth + 1)
            self.space()
            c = self.peek()
            if c == "]":
                self.at += 1
                return
            if c != ",":
                self.fail("after array element")
            self.at += 1

    def string(self) -> None:
        self.at += 1
        while (c := self.peek()) != '"':
            if c < " ":
                self.fail("in string literal")
            self.at += 1
            if c == "\\":
                if self.peek() == "u":
                    self.at += 1
                    for _ in range(4):
                        if self.peek() not in "0123456789abcdefABCDEF":
                            self.fail("in \\u hexadecimal character escape")
                        self.at += 1
                elif self.peek() in _ESCAPES:
                    self.at += 1
                else:
                    self.fail("in string escape code")
        self.at += 1

    def digits(self, where: str) -> None:
        if not self.peek().isdigit():
            self.fail(where)
        while self.at < len(self.text) and self.text[self.at].isdigit():
            self.at += 1

    def number(self) -> None:
        if self.peek() == "-":
            self.at += 1
            if not self.peek().isdigit():
                self.fail("in numeric literal")
        if self.peek() == "0":
            self.at += 1
        else:
            self.digits("in numeric literal")
        if self.at < len(self.text) and self.text[self.at] == ".":
            self.at += 1
            self.digits("after decimal point in numeric literal")
        if self.at < len(self.text) and self.text[self.at] in "eE":
            self.at += 1
            if self.peek() in "+-":
                self.at += 1
            self.digits("in exponent of numeric literal")

    def word(self, word: str) -> None:
        for wanted in word:
            if self.peek() != wanted:
                self.fail(f"in literal {word} (expecting '{wanted}')")
            self.at += 1
