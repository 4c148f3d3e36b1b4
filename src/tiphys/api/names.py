"""Checks of names and other strings; each returns the texts of what is wrong, none if all is well.

Upstream: apimachinery pkg/util/validation/validation.go and pkg/api/validate/content.
"""

import re
from collections.abc import Callable
from typing import Final

DNS_LABEL_MAX: Final = 63
DNS_SUBDOMAIN_MAX: Final = 253
LABEL_VALUE_MAX: Final = 63
PORT_NAME_MAX: Final = 15

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_UNDERSCORE: Final = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_UNDERSCORE: Final = _LABEL_UNDERSCORE + r"(\." + _LABEL_UNDERSCORE + ")*"
_DNS1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_KEY})?"
_PERCENT: Final = "[0-9]+%"
_HEADER: Final = "[-A-Za-z0-9]+"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    "{}'-' or '.', and must start and end with an alphanumeric character"
)
_KEY_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character"
)


def _whole(pattern: str) -> Callable[[str], object]:
    """What is true of texts that match as a whole."""
    return re.compile(pattern, re.ASCII).fullmatch


_is_label: Final = _whole(_LABEL)
_is_subdomain: Final = _whole(_SUBDOMAIN)
_is_subdomain_underscore: Final = _whole(_SUBDOMAIN_UNDERSCORE)
_is_dns1035: Final = _whole(_DNS1035)
_is_wildcard: Final = _whole(r"\*\." + _SUBDOMAIN)
_is_key: Final = _whole(_KEY)
_is_value: Final = _whole(_VALUE)
_is_percent: Final = _whole(_PERCENT)
_is_header: Final = _whole(_HEADER)
_is_printable_name: Final = _whole("[ -<>-~]+")
_is_config_key: Final = _whole(_CONFIG_KEY)
is_http_path: Final = _whole(_HTTP_PATH)


def regex_text(text: str, pattern: str, *examples: str) -> str:
    """How upstream tells of a failed pattern."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{e}', " for e in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def max_length_text(length_max: int) -> str:
    return f"must be no more than {length_max} characters"


def max_bytes_text(length_max: int) -> str:
    return f"must be no more than {length_max} bytes"


def range_text(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def _length(value: str) -> int:
    return len(value.encode())


def dns_label(value: str) -> list[str]:
    texts = [max_length_text(DNS_LABEL_MAX)] if _length(value) > DNS_LABEL_MAX else []
    if _is_label(value):
        return texts
    if _is_subdomain(value):
        return [*texts, "must not contain dots"]
    text = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character"
    )
    return [*texts, regex_text(text, _LABEL, "my-name", "123-abc")]


def dns_subdomain(value: str) -> list[str]:
    texts = [max_length_text(DNS_SUBDOMAIN_MAX)] if _length(value) > DNS_SUBDOMAIN_MAX else []
    if not _is_subdomain(value):
        texts.append(regex_text(_SUBDOMAIN_TEXT.format(""), _SUBDOMAIN, "example.com"))
    return texts


def dns_subdomain_with_underscore(value: str) -> list[str]:
    texts = [max_length_text(DNS_SUBDOMAIN_MAX)] if _length(value) > DNS_SUBDOMAIN_MAX else []
    if not _is_subdomain_underscore(value):
        text = _SUBDOMAIN_TEXT.format("'_', ")
        texts.append(regex_text(text, _SUBDOMAIN_UNDERSCORE, "example.com"))
    return texts


def wildcard_dns_subdomain(value: str) -> list[str]:
    texts = [max_length_text(DNS_SUBDOMAIN_MAX)] if _length(value) > DNS_SUBDOMAIN_MAX else []
    if not _is_wildcard(value):
        text = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS "
            "subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and "
            "end with an alphanumeric character"
        )
        texts.append(regex_text(text, r"\*\." + _SUBDOMAIN, "*.example.com"))
    return texts


def dns1035_label(value: str) -> list[str]:
    texts = [max_length_text(DNS_LABEL_MAX)] if _length(value) > DNS_LABEL_MAX else []
    if not _is_dns1035(value):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character"
        )
        texts.append(regex_text(text, _DNS1035, "my-name", "abc-123"))
    return texts


def qualified_name(value: str) -> list[str]:
    """A label key: a name with an optional DNS prefix, as `example.com/MyName`."""
    texts: list[str] = []
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        text = regex_text(_KEY_TEXT, _KEY, "MyName", "my.name", "123-abc")
        return [
            f"a valid label key {text} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if slash and not prefix:
        texts.append("prefix part must be non-empty")
    elif slash:
        texts += [f"prefix part {text}" for text in _subdomain_in_bytes(prefix)]
    if not name:
        texts.append("name part must be non-empty")
    elif _length(name) > DNS_LABEL_MAX:
        texts.append(f"name part {max_bytes_text(DNS_LABEL_MAX)}")
    if not _is_key(name):
        texts.append(f"name part {regex_text(_KEY_TEXT, _KEY, 'MyName', 'my.name', '123-abc')}")
    return texts


def _subdomain_in_bytes(value: str) -> list[str]:
    """dns_subdomain as newer upstream code words it: lengths in bytes."""
    limit = max_length_text(DNS_SUBDOMAIN_MAX)
    return [
        max_bytes_text(DNS_SUBDOMAIN_MAX) if text == limit else text
        for text in dns_subdomain(value)
    ]


def label_value(value: str) -> list[str]:
    texts = [max_bytes_text(LABEL_VALUE_MAX)] if _length(value) > LABEL_VALUE_MAX else []
    if not _is_value(value):
        text = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', "
            "'_' or '.', and must start and end with an alphanumeric character"
        )
        texts.append(regex_text(text, _VALUE, "MyValue", "my_value", "12345"))
    return texts


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [range_text(1, 65535)]


def port_of(text: str) -> int | None:
    """The port that decimal ASCII digits name; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= len("65535")):
        return None
    number = int(text)
    return number if 1 <= number <= 65535 else None


def user_or_group_id(value: int) -> list[str]:
    return [] if 0 <= value <= 2**31 - 1 else [range_text(0, 2**31 - 1)]


def port_name(value: str) -> list[str]:
    texts = [max_length_text(PORT_NAME_MAX)] if _length(value) > PORT_NAME_MAX else []
    if not re.fullmatch("[-a-z0-9]+", value):
        texts.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        texts.append("must contain at least one letter (a-z)")
    if "--" in value:
        texts.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        texts.append("must not begin or end with a hyphen")
    return texts


def percent(value: str) -> list[str]:
    if _is_percent(value):
        return []
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [regex_text(text, _PERCENT, "1%", "93%")]


def http_header_name(value: str) -> list[str]:
    if _is_header(value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_text(text, _HEADER, "X-Header-Name")]


def env_var_name(value: str) -> list[str]:
    """Any printable ASCII but `=` (RelaxedEnvironmentVariableValidation, GA in 1.34)."""
    if not value:
        return ["environment variable name must be non-empty"]
    if _is_printable_name(value):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters "
        "other than '='"
    ]


def config_map_key(value: str) -> list[str]:
    texts = [max_length_text(DNS_SUBDOMAIN_MAX)] if _length(value) > DNS_SUBDOMAIN_MAX else []
    if not _is_config_key(value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        texts.append(regex_text(text, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return texts + _directory_texts(value)


def _directory_texts(value: str) -> list[str]:
    if value in {".", ".."}:
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def path_segment_name(value: str, is_prefix: bool) -> list[str]:
    """A name that need only be one segment of a URL path (RBAC names, for one)."""
    if not is_prefix:
        if value in {".", ".."}:
            return [f"may not be '{value}'"]
        return [f"may not contain '{c}'" for c in "/%" if c in value]
    return [f"may not contain '{c}'" for c in "/%" if c in value]


def _masked(name: str, is_prefix: bool) -> str:
    """A prefix may end with a dash: look at it as if a letter followed."""
    return name[:-2] + "a" if is_prefix and len(name) > 1 and name.endswith("-") else name


def name_is_dns_subdomain(name: str, is_prefix: bool) -> list[str]:
    return dns_subdomain(_masked(name, is_prefix))


def name_is_dns_label(name: str, is_prefix: bool) -> list[str]:
    return dns_label(_masked(name, is_prefix))


def name_is_dns1035_label(name: str, is_prefix: bool) -> list[str]:
    return dns1035_label(_masked(name, is_prefix))
