"""Named formats of strings. Upstream: apiserver/pkg/cel/library/format.go."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date
from typing import Final

from tiphys.api import names
from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.library.urls import LIBRARY as _URLS
from tiphys.cel.values import NONE, Optional

FORMAT: Final = types.struct("kubernetes.NamedFormat")
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# The length of upstream's pattern for each, by which a check costs.
_LABEL_CHARS, _SUBDOMAIN_CHARS, _VALUE_CHARS = 30, 60, 40
_URI_CHARS, _UUID_CHARS, _BYTE_CHARS, _TIME_CHARS = 1105, 90, 94, 119


class Format:
    __slots__ = ("name", "pattern_chars", "validate")
    cel_type = FORMAT

    def __init__(self, name: str, pattern_chars: int, validate: Callable[[str], list[str]]) -> None:
        self.name = name
        self.pattern_chars = pattern_chars
        self.validate = validate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def _prefix(check: Callable[[str, bool], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(text, True)


def _told(check: Callable[[str], bool], words: str) -> Callable[[str], list[str]]:
    return lambda text: [] if check(text) else [words]


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    return found is not None and _is_date(found[1])


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


_is_url: Final[Callable[[str], bool]] = _URLS.implementations["is_url_string"]
_ALL: Final = {
    "dns1123Label": Format("DNS1123Label", _LABEL_CHARS, names.dns_label),
    "dns1123Subdomain": Format("DNS1123Subdomain", _SUBDOMAIN_CHARS, names.dns_subdomain),
    "dns1035Label": Format("DNS1035Label", _LABEL_CHARS, names.dns1035_label),
    "qualifiedName": Format("QualifiedName", _SUBDOMAIN_CHARS, names.qualified_name),
    "dns1123LabelPrefix": Format(
        "DNS1123LabelPrefix", _LABEL_CHARS, _prefix(names.name_is_dns_label)
    ),
    "dns1123SubdomainPrefix": Format(
        "DNS1123SubdomainPrefix", _SUBDOMAIN_CHARS, _prefix(names.name_is_dns_subdomain)
    ),
    "dns1035LabelPrefix": Format(
        "DNS1035LabelPrefix", _LABEL_CHARS, _prefix(names.name_is_dns1035_label)
    ),
    "labelValue": Format("LabelValue", _VALUE_CHARS, names.label_value),
    "uri": Format("URI", _URI_CHARS, _told(_is_url, "invalid URI for request")),
    "uuid": Format("uuid", _UUID_CHARS, _told(_is_uuid, "does not match the UUID format")),
    "byte": Format("byte", _BYTE_CHARS, _told(_is_base64, "invalid base64")),
    "date": Format("date", _TIME_CHARS, _told(_is_date, "invalid date")),
    "datetime": Format("datetime", _TIME_CHARS, _told(_is_date_time, "invalid datetime")),
}
_TABLE: Final = "\n".join(
    [
        "validate format-validate kubernetes.NamedFormat.(string) -> optional_type(list(string))",
        "format.named format-named (string) -> optional_type(kubernetes.NamedFormat)",
    ]
    + [f"format.{name} format.{name} () -> kubernetes.NamedFormat" for name in _ALL]
)


def _validated(one: Format, text: str) -> Optional:
    """What is wrong, where anything is."""
    found = one.validate(text)
    return Optional(found) if found else NONE


def _named(name: str) -> Optional:
    return Optional(_ALL[name]) if name in _ALL else NONE


def _constant(one: Format) -> Callable[[], Format]:
    return lambda: one


LIBRARY: Final = Library(
    _TABLE,
    {
        "format-validate": _validated,
        "format-named": _named,
        **{f"format.{name}": _constant(one) for name, one in _ALL.items()},
    },
    {"kubernetes.NamedFormat": FORMAT},
)
