"""Impersonation: act as somebody else, if allowed to.

Upstream: apiserver pkg/endpoints/filters/impersonation/impersonation.go.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from tiphys.api.errors import BadRequest
from tiphys.apiserver.filters.authorization import Attributes, RbacAuthorizer, forbidden
from tiphys.apiserver.user import (
    ALL_AUTHENTICATED,
    ALL_UNAUTHENTICATED,
    ANONYMOUS,
    User,
    split_service_account,
)

_USER: Final = "impersonate-user"
_GROUP: Final = "impersonate-group"
_UID: Final = "impersonate-uid"
_EXTRA: Final = "impersonate-extra-"
_AUTHENTICATION: Final = "authentication.k8s.io"
USERS_MAX: Final = 1024

Asked = tuple[str, tuple[str, ...], str, tuple[tuple[str, tuple[str, ...]], ...]]


class Impersonation:
    """See the module. Users are kept, so that the authorizer's memory of them is."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer
        self._users: dict[Asked, User] = {}

    def user_of(self, user: User, headers: Mapping[str, str]) -> User:
        """Whom the request acts as. Raises Forbidden, BadRequest."""
        asked = _asked(headers)
        name, groups, uid, extra = asked
        if not name:
            if not groups and not uid and not extra:
                return user
            raise BadRequest(f"requested {_go_user(asked)} without impersonating a user name")
        self._check_name(user, name)
        for group in groups:
            self._check(user, Attributes("impersonate", resource="groups", name=group))
        if uid:
            asked_uid = Attributes("impersonate", _AUTHENTICATION, "uids", name=uid)
            self._check(user, asked_uid)
        for key, values in extra:
            for value in values:
                attributes = Attributes(
                    "impersonate", _AUTHENTICATION, "userextras", key, name=value
                )
                self._check(user, attributes)
        return self._made(asked)

    def _check_name(self, user: User, name: str) -> None:
        account = split_service_account(name)
        if account is None:
            self._check(user, Attributes("impersonate", resource="users", name=name))
        else:
            namespace, account_name = account
            self._check(
                user,
                Attributes(
                    "impersonate",
                    resource="serviceaccounts",
                    namespace=namespace,
                    name=account_name,
                ),
            )

    def _check(self, user: User, asked: Attributes) -> None:
        decision = self._authorizer.decide(user, asked)
        if not decision.allowed:
            raise forbidden(user, asked, decision.reason)

    def _made(self, asked: Asked) -> User:
        known = self._users.get(asked)
        if known is None:
            if len(self._users) >= USERS_MAX:
                self._users.clear()
            name, groups, uid, extra = asked
            known = self._users[asked] = User(name, all_groups(name, groups), uid, dict(extra))
        return known


def all_groups(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups asked for, a service account's own ones, and whether it counts as known."""
    account = split_service_account(name)
    if account is not None and not groups:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    if name == ANONYMOUS:
        return groups if ALL_UNAUTHENTICATED in groups else (*groups, ALL_UNAUTHENTICATED)
    if ALL_AUTHENTICATED in groups or ALL_UNAUTHENTICATED in groups:
        return groups
    return (*groups, ALL_AUTHENTICATED)


def _asked(headers: Mapping[str, str]) -> Asked:
    groups = tuple(g for g in headers.get(_GROUP, "").split(", ") if g)
    extra = tuple(
        (unquote(name.removeprefix(_EXTRA)), tuple(value.split(", ")))
        for name, value in sorted(headers.items())
        if name.startswith(_EXTRA)
    )
    return headers.get(_USER, ""), groups, headers.get(_UID, ""), extra


def _go_user(asked: Asked) -> str:
    """As Go prints the user with %#v."""
    name, groups, uid, extra = asked
    shown = "(nil)" if not groups else "{" + ", ".join(f'"{g}"' for g in groups) + "}"
    more = "(nil)"
    if extra:
        pairs = (
            f'"{k}":[]string{{{", ".join(f"{chr(34)}{v}{chr(34)}" for v in vs)}}}'
            for k, vs in extra
        )
        more = "{" + ", ".join(pairs) + "}"
    return (
        f'&user.DefaultInfo{{Name:"{name}", UID:"{uid}", Groups:[]string{shown},'
        f" Extra:map[string][]string{more}}}"
    )
