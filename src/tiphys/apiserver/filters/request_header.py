"""Whom an authenticating proxy in front says a request is from (X-Remote-User and its like).

Only a certificate of the front proxy's own authority makes these headers count; from anybody else
they mean nothing. Upstream: apiserver pkg/authentication/request/headerrequest, --requestheader-*.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from tiphys.apiserver.user import ALL_AUTHENTICATED, User
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Request
from tiphys.lib.tls import LeafVerifier, common_name

USERS_MAX: Final = 10_000  # Users remembered, so that the authorizer's memory of them is.
_Said = tuple[str, tuple[str, ...], str, tuple[tuple[str, tuple[str, ...]], ...]]


@dataclass(frozen=True, slots=True)
class RequestHeaderConfig:
    """Header names in lower case; the first of a kind that has a value counts.

    `allowed_names`: common names of proxies; none means any that the authority signed.
    """

    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ("x-remote-user",)
    uid_headers: tuple[str, ...] = ("x-remote-uid",)
    group_headers: tuple[str, ...] = ("x-remote-group",)
    extra_prefixes: tuple[str, ...] = ("x-remote-extra-",)


class RequestHeaderAuthenticator:
    """See the module."""

    def __init__(self, proxies: LeafVerifier, config: RequestHeaderConfig, clock: Clock) -> None:
        self._proxies = proxies
        self._config = config
        self._names = frozenset(config.username_headers)
        self._clock = clock
        self._users: dict[_Said, User] = {}

    def user_of(self, request: Request) -> User | None:
        """The user, or None where no proxy that we trust names one."""
        if self._names.isdisjoint(request.headers):
            return None  # Nearly every request.
        name = _first(request.headers, self._config.username_headers)
        if not name or request.peer_certificate is None:
            return None
        leaf = self._proxies.verify(request.peer_certificate, self._clock.now())
        if leaf is None:
            return None
        allowed = self._config.allowed_names
        if allowed and common_name(leaf) not in allowed:
            return None
        return self._made(said(request.headers, self._config))

    def _made(self, found: _Said) -> User:
        user = self._users.get(found)
        if user is None:
            if len(self._users) >= USERS_MAX:
                self._users.clear()
            name, groups, uid, extra = found
            user = self._users[found] = User(name, groups, uid, dict(extra))
        return user


def said(headers: Mapping[str, str], config: RequestHeaderConfig) -> _Said:
    """(name, groups, uid, extra) of a proxy's headers; everybody it names is authenticated."""
    groups = [g for h in config.group_headers for g in headers.get(h, "").split(", ") if g]
    if ALL_AUTHENTICATED not in groups:
        groups.append(ALL_AUTHENTICATED)
    extra = tuple(
        (unquote(name.removeprefix(prefix)), tuple(value.split(", ")))
        for prefix in config.extra_prefixes
        for name, value in sorted(headers.items())
        if name.startswith(prefix)
    )
    name = _first(headers, config.username_headers)
    return name, tuple(groups), _first(headers, config.uid_headers), extra


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((headers[n] for n in names if headers.get(n)), "")
