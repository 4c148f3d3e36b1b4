"""ingress-nginx's annotations as far as they are understood. Pure.

Source: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from tiphys.ingress.table import Options

PREFIX: Final = "nginx.ingress.kubernetes.io/"
_SIZE: Final = re.compile(r"(\d{1,12})([kmg]?)", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# A path, a query, groups: nothing else of nginx's language, for it stands in its configuration.
_TARGET: Final = re.compile(r"/(?:[A-Za-z0-9\-._~/%!&'()*+,=:@?]|\$[1-9])*")
SECONDS_MAX: Final = 86400 * 7


def options_of(annotations: Mapping[str, str]) -> tuple[Options, list[str]]:
    """What the annotations say, and what is wrong with those that were left out."""
    options = Options()
    problems = []
    for name, (field, read) in _READERS.items():
        text = annotations.get(PREFIX + name)
        if text is None:
            continue
        try:
            options = replace(options, **{field: read(text.strip())})
        except ValueError as exc:
            problems.append(f'annotation {PREFIX}{name} is left out: "{text}" is {exc}')
    return options, problems


def _switch(text: str) -> bool:
    if text in ("true", "false"):
        return text == "true"
    raise ValueError('neither "true" nor "false"')


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError('no size (for example "8m")')
    return int(found[1]) * _UNITS[found[2].lower()]


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= SECONDS_MAX:
        raise ValueError(f"no number of seconds from 1 to {SECONDS_MAX}")
    return int(text)


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError("no path with $1 to $9 in it")
    return text


def _is_https(text: str) -> bool:
    if text.upper() not in ("HTTP", "HTTPS", "AUTO_HTTP"):
        raise ValueError("neither HTTP nor HTTPS")
    return text.upper() == "HTTPS"


_READERS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "rewrite-target": ("rewrite_target", _target),
    "use-regex": ("use_regex", _switch),
    "ssl-redirect": ("ssl_redirect", _switch),
    "force-ssl-redirect": ("force_ssl_redirect", _switch),
    "backend-protocol": ("backend_tls", _is_https),
    "proxy-body-size": ("body_bytes_max", _size),
    "proxy-connect-timeout": ("connect_seconds", _seconds),
    "proxy-send-timeout": ("send_seconds", _seconds),
    "proxy-read-timeout": ("read_seconds", _seconds),
}
