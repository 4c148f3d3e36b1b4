"""Who makes a request. Upstream: apiserver pkg/authentication/user."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiphys.api.meta import Obj

ANONYMOUS: Final = "system:anonymous"
ALL_UNAUTHENTICATED: Final = "system:unauthenticated"
ALL_AUTHENTICATED: Final = "system:authenticated"
MASTERS: Final = "system:masters"
CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
"""What of a user's extra names the credential: upstream's user.CredentialIDKey."""
SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


class User:
    """A user. `decisions` is the authorizer's memory of what it decided about this one."""

    __slots__ = ("decisions", "extra", "groups", "name", "uid")

    def __init__(
        self,
        name: str,
        groups: Sequence[str],
        uid: str = "",
        extra: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self.groups = tuple(groups)
        self.uid = uid
        self.extra = dict(extra or {})
        self.decisions: dict[Any, Any] = {}

    def to_obj(self) -> Obj:
        """authentication.k8s.io UserInfo."""
        obj: Obj = {"username": self.name}
        if self.uid:
            obj["uid"] = self.uid
        if self.groups:
            obj["groups"] = list(self.groups)
        if self.extra:
            obj["extra"] = {k: list(v) for k, v in self.extra.items()}
        return obj


def service_account_name(namespace: str, name: str) -> str:
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def split_service_account(user_name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    if not user_name.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, separator, name = user_name.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if separator and namespace and name else None
