"""Which location a request belongs to, and what its annotations make of it. Pure."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from tiphys.ingress.table import DEFAULT_HOST, Host, Location, Match, Plan

_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)*/?")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_GROUP: Final = re.compile(r"\$([1-9])")
_UNQUOTED: Final = "/:@!$&'()*+,;=~-._"
NO_REDIRECT: Final = "/.well-known/acme-challenge"  # ingress-nginx no-tls-redirect-locations


class BadPath(Exception):
    """The path of a request is no path: 400."""


class Router:
    """A plan, made quick to ask."""

    def __init__(self, plan: Plan) -> None:
        self._hosts = {name: _HostRouter(host) for name, host in plan.hosts.items()}
        self._certified = {name: host.certificate is not None for name, host in plan.hosts.items()}

    def host_of(self, name: str) -> str | None:
        """The host that serves a name (lower case, no port): itself, a wildcard, or everybody's."""
        if name in self._hosts:
            return name
        wildcard = f"*.{name.partition('.')[2]}"
        if wildcard in self._hosts:
            return wildcard
        return DEFAULT_HOST if DEFAULT_HOST in self._hosts else None

    def find(self, host: str, path: str) -> Location | None:
        """host: from `host_of`; path: from `normal_path`."""
        return self._hosts[host].find(path)

    def redirects(self, host: str, location: Location, path: str) -> bool:
        """Whether a request that came without TLS must come again with it."""
        options = location.options
        if path.startswith(NO_REDIRECT):
            return False
        return options.force_ssl_redirect or (options.ssl_redirect and self._has_certificate(host))

    def _has_certificate(self, host: str) -> bool:
        return self._certified[host] or self._certified.get(f"*.{host.partition('.')[2]}", False)


class _HostRouter:
    def __init__(self, host: Host) -> None:
        self._exact: dict[str, Location] = {}
        self._prefixes: dict[str, Location] = {}
        self._in_order: list[tuple[Location, re.Pattern[str] | None]] = []
        for location in host.locations:
            if location.match is Match.EXACT:
                self._exact[location.path] = location
            else:
                self._prefixes[location.path] = location
                is_regex = location.match is Match.REGEX
                pattern = re.compile(location.path, re.IGNORECASE) if is_regex else None
                self._in_order.append((location, pattern))
        self._has_regex = any(pattern is not None for _, pattern in self._in_order)

    def find(self, path: str) -> Location | None:
        found = self._exact.get(path)
        if found is not None:
            return found
        return self._scan(path) if self._has_regex else self._walk(path)

    def _walk(self, path: str) -> Location | None:
        """From the whole path towards its first element."""
        while True:
            found = self._prefixes.get(path)
            if found is not None:
                return found
            if not path:
                return None
            path = path.rpartition("/")[0]

    def _scan(self, path: str) -> Location | None:
        for location, pattern in self._in_order:
            if pattern is None:
                if path == location.path or path.startswith(location.path + "/"):
                    return location
            elif pattern.match(path):
                return location
        return None


def normal_path(target: str) -> str:
    """The decoded path of a request target, without empty and dot elements, as nginx has it.

    Raises BadPath for what is no path, or leads above the root.
    """
    path = target.partition("?")[0]
    if _PLAIN.fullmatch(path):
        return path
    if not path.startswith("/") or _BAD_ESCAPE.search(path):
        raise BadPath(path)
    text = unquote_to_bytes(path).decode(errors="surrogateescape")
    if "\0" in text:
        raise BadPath(path)
    return _without_dots(text)


def _without_dots(text: str) -> str:
    elements: list[str] = []
    parts = text.split("/")[1:]
    for part in parts:
        if part == "..":
            if not elements:
                raise BadPath(text)
            elements.pop()
        elif part not in ("", "."):
            elements.append(part)
    ends_open = parts[-1] in ("", ".", "..")
    return "/" + "/".join(elements) + ("/" if ends_open and elements else "")


def rewritten(location: Location, path: str, target: str) -> str:
    """The target to ask the backend for; groups are what the location's pattern has taken."""
    wanted = location.options.rewrite_target
    if not wanted:
        return target
    groups: Mapping[int, str] = {}
    if location.match is Match.REGEX:
        found = re.match(location.path, path, re.IGNORECASE)
        if found is not None:
            groups = dict(enumerate(found.groups(default=""), 1))
    made = _GROUP.sub(lambda m: _quoted(groups.get(int(m[1]), "")), wanted)
    query = target.partition("?")[2]
    if not query:
        return made
    return f"{made}&{query}" if "?" in made else f"{made}?{query}"


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogateescape"), safe=_UNQUOTED)
