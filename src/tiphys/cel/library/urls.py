"""URLs. Upstream: apiserver/pkg/cel/library/urls.go, pkg/cel/url.go; Go net/url."""

import re
from typing import Any, Final
from urllib.parse import quote, unquote_plus, urlsplit

import orjson

from tiphys.cel import types
from tiphys.cel.declarations import Library
from tiphys.cel.errors import EvaluationError

URL_TYPE: Final = types.struct("kubernetes.URL")
_TABLE: Final = """
url             string_to_url         (string) -> kubernetes.URL
getScheme       url_get_scheme        kubernetes.URL.() -> string
getHost         url_get_host          kubernetes.URL.() -> string
getHostname     url_get_hostname      kubernetes.URL.() -> string
getPort         url_get_port          kubernetes.URL.() -> string
getEscapedPath  url_get_escaped_path  kubernetes.URL.() -> string
getQuery        url_get_query         kubernetes.URL.() -> map(string, list(string))
isURL           is_url_string         (string) -> bool
"""
_ERROR: Final = "URL parse error during conversion from string: parse "
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_PORT: Final = re.compile(r"(?::\d*)?", re.ASCII)
_PATH_SAFE: Final = "/!$&'()*+,;=:@-._~%"


class URL:
    __slots__ = ("host", "path", "query", "scheme", "text")
    cel_type = URL_TYPE

    def __init__(self, text: str) -> None:
        parts = urlsplit(text)
        self.text = text
        self.scheme = parts.scheme
        self.host = parts.netloc.rpartition("@")[2]
        self.path = parts.path
        self.query = parts.query

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def hostname(self) -> str:
        if self.host.startswith("["):
            return self.host[1:].partition("]")[0]
        return self.host.partition(":")[0]

    @property
    def port(self) -> str:
        return self.host.rpartition("]")[2].rpartition(":")[2] if ":" in self._after() else ""

    def _after(self) -> str:
        return self.host.rpartition("]")[2]


def _why_not(text: str) -> str:
    """Go's sentence; empty for a URL that is absolute, or a path from the root."""
    if any(char < " " or char == "\x7f" for char in text):
        return "net/url: invalid control character in URL"
    if not text:
        return "empty url"
    scheme, colon, rest = text.partition(":")
    has_scheme = bool(colon) and _SCHEME.fullmatch(scheme) is not None
    if text.startswith(":"):
        return "missing protocol scheme"
    if not has_scheme and not text.startswith("/"):
        return "invalid URI for request"
    if has_scheme and not rest.startswith("/") and not rest:
        return ""
    return _why_bad_parts(text)


def _why_bad_parts(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        return str(error)
    host = parts.netloc.rpartition("@")[2]
    after = host.rpartition("]")[2] if "]" in host else host[len(host.partition(":")[0]) :]
    if not _PORT.fullmatch(after):
        return f"invalid port {orjson.dumps(after).decode()} after host"
    if " " in host:
        return 'invalid character " " in host name'
    if bad := _BAD_ESCAPE.search(parts.path):
        return f"invalid URL escape {orjson.dumps(bad[0]).decode()}"
    return ""


def _parsed(text: str) -> URL:
    """Raises EvaluationError."""
    if why := _why_not(text):
        raise EvaluationError(f"{_ERROR}{orjson.dumps(text).decode()}: {why}")
    return URL(text)


def _query(one: URL) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in one.query.split("&"):
        if pair and ";" not in pair:
            key, _, value = pair.partition("=")
            found.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return found


LIBRARY: Final = Library(
    _TABLE,
    {
        "string_to_url": _parsed,
        "url_get_scheme": lambda one: one.scheme,
        "url_get_host": lambda one: one.host,
        "url_get_hostname": lambda one: one.hostname,
        "url_get_port": lambda one: one.port,
        "url_get_escaped_path": lambda one: quote(one.path, safe=_PATH_SAFE),
        "url_get_query": _query,
        "is_url_string": lambda text: not _why_not(text),
    },
    {"kubernetes.URL": URL_TYPE},
)
