"""From tokens to a tree.

Errors are told in the words of the parser generator that upstream uses, for the mistakes that
people make: something expected, something too much, something missing. After an error parsing goes
on where the expression may go on, so that one text can tell of several mistakes.
Source: cel-go parser/gen/CEL.g4 (grammar), parser/parser.go; the ANTLR 4 error strategy.
"""

from contextlib import suppress
from typing import Any, Final

from tiphys.cel import lexer, literals, syntax
from tiphys.cel.errors import CompileError, Issue
from tiphys.cel.lexer import END, IDENTIFIER, QUOTED_IDENTIFIER, Token
from tiphys.cel.macros import Factory, MacroError, expanded
from tiphys.cel.syntax import (
    Call,
    CreateList,
    CreateMap,
    CreateStruct,
    Entry,
    FieldValue,
    Ident,
    Literal,
    Node,
    Select,
)
from tiphys.cel.tokens import Lost, Tokens, expected
from tiphys.cel.values import Uint

NESTING_MAX: Final = 250  # cel-go parser/options.go defaultMaxRecursionDepth
SOURCE_CHARS_MAX: Final = 100_000  # defaultExpressionSizeCodePointLimit

_RESERVED: Final = frozenset({
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
    "let", "loop", "package", "namespace", "null", "return", "true", "var", "void", "while",
})  # fmt: skip
_OPERANDS: Final = frozenset({
    "'['", "'{'", "'('", "'.'", "'-'", "'!'", "'true'", "'false'", "'null'", lexer.FLOAT, lexer.INT,
    lexer.UINT, lexer.STRING, lexer.BYTES, IDENTIFIER,
})  # fmt: skip
_AFTER_NOT: Final = _OPERANDS
_RELATIONS: Final = ("'<'", "'<='", "'>='", "'>'", "'=='", "'!='", "'in'")
_RANKED: Final[tuple[frozenset[str], ...]] = (
    frozenset(_RELATIONS),
    frozenset({"'+'", "'-'"}),
    frozenset({"'*'", "'/'", "'%'"}),
)
_FUNCTIONS: Final = {
    "'<'": syntax.LESS,
    "'<='": syntax.LESS_EQUALS,
    "'>='": syntax.GREATER_EQUALS,
    "'>'": syntax.GREATER,
    "'=='": syntax.EQUALS,
    "'!='": syntax.NOT_EQUALS,
    "'in'": syntax.IN,
    "'+'": syntax.ADD,
    "'-'": syntax.SUBTRACT,
    "'*'": syntax.MULTIPLY,
    "'/'": syntax.DIVIDE,
    "'%'": syntax.MODULO,
}
_OPERATORS: Final = frozenset(_FUNCTIONS) | {"'&&'", "'||'", "'?'"}
_CONTINUES: Final = _OPERATORS | {"'.'", "'['"}
_FIELD_STARTS: Final = frozenset({"'?'", IDENTIFIER, QUOTED_IDENTIFIER})
_WORD_VALUES: Final[dict[str, Any]] = {"'true'": True, "'false'": False, "'null'": None}


class _TooDeep(Exception):
    pass


def parse(source: str, *, has_bind: bool = False) -> Node:
    """Raises CompileError with all that is wrong. `has_bind`: cel.bind() is a macro."""
    if len(source) > SOURCE_CHARS_MAX:
        text = f"expression code point size exceeds limit: size: {len(source)}, limit"
        raise CompileError("", [Issue(0, f"{text} {SOURCE_CHARS_MAX}")])
    parser = _Parser(source, has_bind=has_bind)
    try:
        tree = parser.whole()
    except (_TooDeep, RecursionError):
        text = f"expression recursion limit exceeded: {NESTING_MAX}"
        raise CompileError("", [Issue(0, text)]) from None
    if parser.issues:
        raise CompileError(source, parser.issues)
    return tree


class _Parser(Tokens):
    def __init__(self, source: str, *, has_bind: bool) -> None:
        super().__init__(source)
        self._make = Factory(has_bind=has_bind)
        self._depth = 0

    def _nothing(self) -> Node:
        return self._make.literal(self._tokens[self._at].offset, None)

    # --- rules

    def whole(self) -> Node:
        tree = self._expression()
        with suppress(Lost):  # It was told of, and nothing comes behind it.
            self._match(END)
        return tree

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise _TooDeep
        try:
            return self._conditional()
        except Lost:
            self._recover(frozenset())
            return self._nothing()
        finally:
            self._depth -= 1

    def _conditional(self) -> Node:
        condition = self._logical(syntax.OR, "'||'")
        if self._kind != "'?'":
            return condition
        offset = self._take().offset
        self._closers.append(frozenset({"':'"}))
        then = self._logical(syntax.OR, "'||'")
        self._closers.pop()
        self._match("':'", _OPERANDS)
        return self._make.call(offset, syntax.CONDITIONAL, condition, then, self._expression())

    def _logical(self, function: str, sign: str) -> Node:
        """Terms with one sign between them, as a tree that is not deep."""

        def term() -> Node:
            return (
                self._operation(0) if function == syntax.AND else self._logical(syntax.AND, "'&&'")
            )

        terms, offsets = [term()], []
        while self._kind == sign:
            offsets.append(self._take().offset)
            terms.append(term())
        return self._balanced(function, terms, offsets)

    def _balanced(self, function: str, terms: list[Node], offsets: list[int]) -> Node:
        if not offsets:
            return terms[0]
        middle = len(offsets) // 2
        left = self._balanced(function, terms[: middle + 1], offsets[:middle])
        right = self._balanced(function, terms[middle + 1 :], offsets[middle + 1 :])
        return self._make.call(offsets[middle], function, left, right)

    def _operation(self, rank: int) -> Node:
        """Binary operators of this rank and of those that bind closer."""
        left = self._unary() if rank == len(_RANKED) else self._operation(rank + 1)
        if rank == len(_RANKED):
            return left
        while self._kind in _RANKED[rank]:
            token = self._take()
            right = self._operation(rank + 1)
            left = self._make.call(token.offset, _FUNCTIONS[token.kind], left, right)
        return left

    def _unary(self) -> Node:
        try:
            self._sync(_OPERANDS)
            if self._kind == "'!'":
                return self._repeated("'!'", syntax.NOT)
            if self._kind == "'-'" and self._next_kind not in (lexer.INT, lexer.FLOAT):
                return self._repeated("'-'", syntax.NEGATE)
            return self._member()
        except Lost:
            self._recover(_CONTINUES)
            return self._nothing()

    def _repeated(self, sign: str, function: str) -> Node:
        first = self._at
        count = 0
        while self._kind == sign and not (
            sign == "'-'" and count and self._next_kind in (lexer.INT, lexer.FLOAT)
        ):
            self._take()
            count += 1
        if self._kind not in _OPERANDS - ({"'!'"} if sign == "'-'" else set()):
            self._report_bad_operand(sign)
            raise Lost
        operand = self._member()
        if count % 2 == 0:
            return operand
        return self._make.call(self._tokens[first].offset, function, operand)

    def _report_bad_operand(self, sign: str) -> None:
        if sign == "'-'":
            begin = self._tokens[self._at - 1].offset
            self._report(f"no viable alternative at input '{self._text_from(begin)}'")
        else:
            self._report(f"extraneous input {self._shown()} expecting {expected(_AFTER_NOT)}")

    # --- members: fields, calls, indices

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._kind == "'.'":
                node = self._field(node)
            elif self._kind == "'['":
                node = self._index(node)
            else:
                return node

    def _field(self, operand: Node) -> Node:
        dot = self._take()
        is_optional = self._kind == "'?'"
        if is_optional:
            self._take()
        if self._kind not in (IDENTIFIER, QUOTED_IDENTIFIER):
            self._report_bad_field(dot)
            raise Lost
        token = self._take()
        name = token.text.strip("`")
        if self._kind == "'('" and not is_optional and token.kind == IDENTIFIER:
            return self._call(name, operand)
        if is_optional:
            field = self._make.literal(token.offset, name)
            return self._make.call(dot.offset, syntax.OPTIONAL_SELECT, operand, field)
        return Select(self._make.next_id(), dot.offset, operand, name)

    def _report_bad_field(self, dot: Token) -> None:
        if self._kind in _WORD_VALUES:
            word = self._tokens[self._at].text
            self._report(f"mismatched input '{word}' expecting IDENTIFIER")
        else:
            self._report(f"no viable alternative at input '{self._text_from(dot.offset)}'")

    def _index(self, operand: Node) -> Node:
        offset = self._take().offset
        self._sync(_OPERANDS | {"'?'"})
        is_optional = self._kind == "'?'"
        if is_optional:
            self._take()
        self._closers.append(frozenset({"']'"}))
        index = self._expression()
        self._closers.pop()
        self._match("']'", self._followers())
        function = syntax.OPTIONAL_INDEX if is_optional else syntax.INDEX
        return self._make.call(offset, function, operand, index)

    def _followers(self) -> frozenset[str]:
        return _CONTINUES.union(*self._closers)

    def _call(self, function: str, target: Node | None) -> Node:
        offset = self._take().offset
        args = self._arguments()
        try:
            made = expanded(self._make, offset, function, target, args)
        except MacroError as error:
            self._issue(error.offset, error.text)
            return self._nothing()
        return made or Call(self._make.next_id(), offset, function, target, args)

    def _arguments(self) -> list[Node]:
        self._sync(_OPERANDS | {"')'"})
        args: list[Node] = []
        self._closers.append(frozenset({"')'", "','"}))
        if self._kind != "')'":
            args.append(self._expression())
            while self._kind == "','":
                self._take()
                args.append(self._expression())
        self._closers.pop()
        self._match("')'", self._followers())
        return args

    # --- primaries

    def _primary(self) -> Node:
        match self._kind:
            case "'('":
                self._take()
                self._closers.append(frozenset({"')'"}))
                inner = self._expression()
                self._closers.pop()
                self._match("')'", self._followers())
                return inner
            case "'['":
                return self._list()
            case "'{'":
                return self._map()
            case "'.'" | lexer.IDENTIFIER:
                return self._name()
            case _:
                return self._literal()

    def _name(self) -> Node:
        first = self._tokens[self._at]
        is_absolute = self._kind == "'.'"
        if is_absolute:
            self._take()
            if self._kind != IDENTIFIER:
                self._report_bad_field(first)
                raise Lost
        if self._is_struct():
            return self._struct("." if is_absolute else "")
        token = self._take()
        name = f".{token.text}" if is_absolute else token.text
        if self._kind == "'('":
            if token.text in _RESERVED:
                self._issue(first.offset, f"reserved identifier: {token.text}")
            return self._call(name, None)
        if token.text in _RESERVED:
            self._issue(first.offset, f"reserved identifier: {token.text}")
        return self._make.ident(token.offset, name)

    def _is_struct(self) -> bool:
        """Whether names with dots between them lead to a brace."""
        at = self._at
        while self._tokens[at].kind == IDENTIFIER:
            sign = self._tokens[at + 1].kind
            if sign == "'{'":
                return True
            if sign != "'.'":
                return False
            at += 2
        return False

    def _struct(self, prefix: str) -> Node:
        name = prefix + self._take().text
        while self._kind == "'.'":
            self._take()
            name += f".{self._take().text}"
        offset = self._take().offset
        self._sync(_FIELD_STARTS | {"'}'", "','"})
        fields: list[FieldValue] = []
        self._closers.append(frozenset({"'}'", "','"}))
        if self._kind in _FIELD_STARTS:
            try:
                self._initializers(fields, _FIELD_STARTS, self._field_value)
            except Lost:
                self._recover(frozenset())
        self._close("'}'")
        return CreateStruct(self._make.next_id(), offset, name, fields)

    def _field_value(self) -> FieldValue:
        is_optional = self._optional_sign()
        if self._kind not in (IDENTIFIER, QUOTED_IDENTIFIER):
            names = frozenset({IDENTIFIER, QUOTED_IDENTIFIER})
            self._report(f"mismatched input {self._shown()} expecting {expected(names)}")
            raise Lost
        name = self._take().text.strip("`")
        offset = self._match("':'", _OPERANDS).offset
        return FieldValue(self._make.next_id(), offset, name, self._expression(), is_optional)

    def _optional_sign(self) -> bool:
        is_optional = self._kind == "'?'"
        if is_optional:
            self._take()
        return is_optional

    def _initializers(self, found: list[Any], starts: frozenset[str], one: Any) -> None:
        """Entries with commas between them; a comma before the end is left to the caller."""
        found.append(one())
        while self._kind == "','" and self._next_kind in starts:
            self._take()
            found.append(one())

    def _close(self, sign: str) -> None:
        """A comma that may be there, and the closing sign."""
        try:
            self._sync(frozenset({"','", sign}))
            if self._kind == "','":
                self._take()
        finally:
            self._closers.pop()
        self._match(sign, self._followers())

    def _map(self) -> Node:
        offset = self._take().offset
        starts = _OPERANDS | {"'?'"}
        self._sync(starts | {"'}'", "','"})
        entries: list[Entry] = []
        self._closers.append(frozenset({"'}'", "','"}))
        if self._kind in starts:
            try:
                self._initializers(entries, starts, self._entry)
            except Lost:
                self._recover(frozenset())
        self._close("'}'")
        return CreateMap(self._make.next_id(), offset, entries)

    def _entry(self) -> Entry:
        is_optional = self._optional_sign()
        self._closers.append(frozenset({"':'"}))
        key = self._expression()
        self._closers.pop()
        offset = self._match("':'", _OPERANDS).offset
        return Entry(self._make.next_id(), offset, key, self._expression(), is_optional)

    def _list(self) -> Node:
        offset = self._take().offset
        starts = _OPERANDS | {"'?'"}
        self._sync(starts | {"']'", "','"})
        optional: set[int] = set()
        elements: list[Node] = []

        def element() -> Node:
            if self._optional_sign():
                optional.add(len(elements))
            return self._expression()

        self._closers.append(frozenset({"']'", "','"}))
        if self._kind in starts:
            self._initializers(elements, starts, element)
        self._close("']'")
        return CreateList(self._make.next_id(), offset, elements, frozenset(optional))

    def _literal(self) -> Node:
        first = self._take()
        text = first.text
        if first.kind == "'-'":
            text += self._take().text
        try:
            return self._make.literal(first.offset, _value(first.kind, text))
        except ValueError as error:
            self._issue(first.offset, str(error))
            return self._nothing()


def _value(kind: str, text: str) -> Any:
    """Raises ValueError."""
    if kind in _WORD_VALUES:
        return _WORD_VALUES[kind]
    match kind:
        case lexer.STRING:
            return literals.text_of(text)
        case lexer.BYTES:
            return literals.bytes_of(text)
        case lexer.UINT:
            return Uint(literals.uint_of(text))
        case _ if kind == lexer.FLOAT or (not text.lstrip("-").isdigit() and "x" not in text):
            return literals.float_of(text)
        case _:
            return literals.int_of(text)


__all__ = ["Ident", "Literal", "parse"]
