"""What the literals of an expression mean.

Source: doc/langdef.md (String and Bytes Values); cel-go parser/unescape.go.
"""

from typing import Final

_SIMPLE: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_HEX_DIGITS: Final = {"x": 2, "X": 2, "u": 4, "U": 8}
_CODE_POINT_MAX: Final = 0x10FFFF
_INT_MIN, _INT_MAX, _UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1


def text_of(token: str) -> str:
    """A string token's text. Raises ValueError with cel-go's sentence."""
    body, is_raw = _body(token)
    if is_raw:
        return body
    return "".join(part if isinstance(part, str) else chr(part) for part in _parts(body, "string"))


def bytes_of(token: str) -> bytes:
    """A bytes token's octets: escapes by number are single ones. Raises ValueError."""
    body, is_raw = _body(token[1:])
    if is_raw:
        return body.encode("utf-8", "surrogatepass")
    made = [
        part.encode("utf-8", "surrogatepass") if isinstance(part, str) else bytes((part,))
        for part in _parts(body, "bytes")
    ]
    return b"".join(made)


def int_of(text: str) -> int:
    """Raises ValueError."""
    value = _number(text)
    if not _INT_MIN <= value <= _INT_MAX:
        raise ValueError("invalid int literal")
    return value


def uint_of(text: str) -> int:
    """Raises ValueError."""
    value = _number(text[:-1])
    if value > _UINT_MAX:
        raise ValueError("invalid uint literal")
    return value


def float_of(text: str) -> float:
    """Raises ValueError."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("invalid double literal")
    return value


def _number(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * (int(digits[2:], 16) if digits.startswith("0x") else _decimal(digits))


def _decimal(digits: str) -> int:
    # Python refuses texts of more than 4300 digits with words of its own.
    return int(digits) if len(digits) < 100 else 10**100


def _body(token: str) -> tuple[str, bool]:
    is_raw = token[0] in "rR"
    text = token[1:] if is_raw else token
    quotes = 3 if len(text) >= 6 and text[:3] in ('"""', "'''") else 1
    return text[quotes:-quotes].replace("\r\n", "\n").replace("\r", "\n"), is_raw


def _parts(body: str, what: str) -> list[str | int]:
    """Texts as they are, and numbers: code points of a string, octets of bytes."""
    parts: list[str | int] = []
    at = 0
    while at < len(body):
        slash = body.find("\\", at)
        if slash < 0:
            parts.append(body[at:])
            break
        parts.append(body[at:slash])
        letter = body[slash + 1]
        if letter in _SIMPLE:
            parts.append(_SIMPLE[letter])
            at = slash + 2
        elif letter in _HEX_DIGITS:
            end = slash + 2 + _HEX_DIGITS[letter]
            parts.append(_code(int(body[slash + 2 : end], 16), letter, what))
            at = end
        else:
            parts.append(_code(int(body[slash + 1 : slash + 4], 8), "x", what))
            at = slash + 4
    return parts


def _code(value: int, letter: str, what: str) -> str | int:
    if letter in "uU":
        if what == "bytes":
            raise ValueError("unable to unescape string")
        if value > _CODE_POINT_MAX or 0xD800 <= value <= 0xDFFF:
            raise ValueError("invalid unicode code point")
        return chr(value)
    return value
