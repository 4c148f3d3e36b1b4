"""The tokens of a text one after the other, and what is said where they do not fit.

Source: the ANTLR 4 error strategy (DefaultErrorStrategy): one token too much is skipped, one that
is missing is thought of, and after anything else parsing goes on behind it.
"""

from tiphys.cel import lexer
from tiphys.cel.errors import Issue
from tiphys.cel.lexer import END, RANK, Token


class Lost(Exception):
    """What stands here fits no rule; it was told of."""


def expected(kinds: frozenset[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "{" + ", ".join(sorted(kinds, key=lambda kind: RANK[kind])) + "}"


class Tokens:
    """A parser's place in a text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens, self.issues = lexer.tokens(source)
        self._at = 0
        self._is_recovering = False  # Since the last error no token was as expected.
        self._lost_at = -1
        self._closers: list[frozenset[str]] = [frozenset({END})]

    @property
    def _kind(self) -> str:
        return self._tokens[self._at].kind

    @property
    def _next_kind(self) -> str:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)].kind

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._is_recovering = False
        if token.kind != END:
            self._at += 1
        return token

    # --- errors

    def _report(self, text: str) -> None:
        if not self._is_recovering:
            self._is_recovering = True
            self.issues.append(Issue(self._tokens[self._at].offset, f"Syntax error: {text}"))

    def _issue(self, offset: int, text: str) -> None:
        self.issues.append(Issue(offset, text))

    def _shown(self) -> str:
        text = self._tokens[self._at].text
        return "'" + text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + "'"

    def _sync(self, kinds: frozenset[str]) -> None:
        """The next token is one of these, or the one behind it is. Raises Lost."""
        if self._kind in kinds:
            return
        if self._next_kind in kinds and self._kind != END:
            self._report(f"extraneous input {self._shown()} expecting {expected(kinds)}")
            self._at += 1
            return
        self._report(f"mismatched input {self._shown()} expecting {expected(kinds)}")
        raise Lost

    def _match(self, kind: str, followers: frozenset[str] = frozenset()) -> Token:
        """This token; where only it is missing, as if it were there. Raises Lost."""
        if self._kind == kind:
            return self._take()
        if self._next_kind == kind and self._kind != END:
            self._report(f"extraneous input {self._shown()} expecting {kind}")
            self._at += 1
            return self._take()
        if self._kind in followers:
            self._report(f"missing {kind} at {self._shown()}")
            return Token(kind, "", self._tokens[self._at].offset)
        self._report(f"mismatched input {self._shown()} expecting {kind}")
        raise Lost

    def _recover(self, known: frozenset[str]) -> None:
        """Skips what cannot be made sense of, up to one of these or what closes something."""
        if self._lost_at == self._at and self._kind != END:
            self._at += 1
        self._lost_at = self._at
        known = known.union(*self._closers)
        while self._kind not in known and self._kind != END:
            self._at += 1

    def _text_from(self, begin: int) -> str:
        """The source up to the end of the current token."""
        token = self._tokens[self._at]
        end = token.offset if token.kind == END else token.offset + len(token.text)
        return self._source[begin:end]
