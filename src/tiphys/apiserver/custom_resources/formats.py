"""Formats of strings in schemas. One that nobody knows checks nothing.

Upstream: kube-openapi pkg/validation/strfmt; apiextensions-apiserver pkg/apiserver/validation
(formats.go).
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from tiphys.api import names

_HOST: Final = re.compile(
    r"([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.?"
)
_MAIL: Final = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_GO_DURATION: Final = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_DURATION: Final = re.compile(
    r"(\d+)\s*(ns|nano|nanos|nanosecond|nanoseconds|us|µs|micro|micros|microsecond|microseconds|ms"
    r"|milli|millis|millisecond|milliseconds|s|sec|secs|second|seconds|m|min|mins|minute|minutes|h"
    r"|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks)",
    re.ASCII,
)
_HOST_CHARS_MAX: Final = 255


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str) -> Callable[[str], bool]:
    variant = "[0-9a-f]" if version in "3[0-9a-f]" else "[89ab]"
    return _matches(
        f"(?i)[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}[0-9a-f]{{3}}-?{variant}[0-9a-f]{{3}}-?[0-9a-f]{{12}}"
    )


def _is_date_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    try:
        date.fromisoformat(found[1])
    except ValueError:
        return False
    return int(found[2]) < 24 and int(found[3]) < 60 and int(found[4]) < 60


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(datetime.strptime(text, "%Y-%m-%d"))
    except ValueError:
        return False


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_network(text: str) -> bool:
    try:
        return "/" in text and bool(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True)) or not text
    except (binascii.Error, ValueError):
        return False


def _is_uri(text: str) -> bool:
    """Go's url.ParseRequestURI: absolute, or a path from the root."""
    if not text or any(c <= " " or c == "\x7f" for c in text):
        return False
    try:
        return text.startswith("/") or bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _is_duration(text: str) -> bool:
    return _GO_DURATION.fullmatch(text) is not None or _DURATION.search(text) is not None


def _is_luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d * 2 - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return 12 < len(digits) < 20 and sum(doubled) % 10 == 0


def _is_isbn10(text: str) -> bool:
    text = text.replace("-", "").replace(" ", "")
    if re.fullmatch(r"\d{9}[\dX]", text, re.ASCII) is None:
        return False
    return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(text)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    text = text.replace("-", "").replace(" ", "")
    if re.fullmatch(r"\d{13}", text, re.ASCII) is None:
        return False
    return sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(text)) % 10 == 0


# By their names without dashes, as upstream looks them up.
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": lambda text: _MAIL.fullmatch(text) is not None,
    "hostname": lambda text: len(text) <= _HOST_CHARS_MAX and _HOST.fullmatch(text) is not None,
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "cidr": _is_network,
    "mac": _matches(
        "([0-9A-Fa-f]{2}[:-]){5,7}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{4}\\.){2,3}[0-9A-Fa-f]{4}"
    ),
    "uuid": _uuid("[0-9a-f]"),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_luhn,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matches(r"rgb\(\s*(\d{1,3}\s*,\s*){2}\d{1,3}\s*\)"),
    "byte": _is_base64,
    "password": lambda text: True,
    "date": _is_date,
    "duration": _is_duration,
    "datetime": _is_date_time,
    "k8sshortname": lambda text: not names.dns_label(text),
    "k8slongname": lambda text: not names.dns_subdomain(text),
}
# Of numbers, and of what is either.
_OF_NUMBERS: Final = frozenset({"int32", "int64", "float", "double", "intorstring"})


@lru_cache(maxsize=256)
def normal_name(name: str) -> str:
    return name.replace("-", "")


def is_known(name: str) -> bool:
    """Whether a schema's format is one that anybody checks."""
    return normal_name(name) in FORMATS or normal_name(name) in _OF_NUMBERS


def is_valid(name: str, text: str) -> bool:
    check = FORMATS.get(normal_name(name))
    return check is None or check(text)
