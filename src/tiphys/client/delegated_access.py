"""Who may ask a component other than the API server: the API server is asked.

A client certificate of the cluster's authority, or a bearer token that the API server recognises;
then a SubjectAccessReview of what is asked for, unless the user is of system:masters.
Upstream: apiserver pkg/authentication/authenticatorfactory/delegating.go, .../authorizerfactory.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionResource, Obj, at
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Request
from tiphys.lib.tls import LeafVerifier, common_name, organizations

TOKEN_REVIEWS: Final = GroupVersionResource("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS: Final = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
MASTERS: Final = "system:masters"
ALLOWED_SECONDS: Final = 300.0  # defaults.go CacheAuthorizedTTL
DENIED_SECONDS: Final = 30.0  # CacheUnauthorizedTTL
TOKEN_SECONDS: Final = 120.0  # Authentication.Webhook.CacheTTL
REMEMBERED_MAX: Final = 1024
VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...]
    uid: str = ""


class _Remembered(Generic[Value]):
    """Answers by key, each for a time; the oldest are dropped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[Value, float]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        found = self._entries.get(key)
        return found[0] if found is not None and self._clock.monotonic() < found[1] else None

    def put(self, key: Hashable, value: Value, seconds: float) -> None:
        self._entries[key] = (value, self._clock.monotonic() + seconds)
        self._entries.move_to_end(key)
        if len(self._entries) > REMEMBERED_MAX:
            self._entries.popitem(last=False)


Attributes = tuple[tuple[str, str], ...]
"""Fields of resourceAttributes or, where one is `path`, of nonResourceAttributes."""


def path_attributes(method: str, path: str) -> Sequence[Attributes]:
    """Of a path that is no resource's."""
    return [(("path", path), ("verb", method.lower()))]


class Gate:
    """Lets requests in or says why not. Raises OSError or ValueError for a bad authority.

    `attributes_of` tells what a method and path are; to be allowed one of them suffices.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        client_ca: Path,
        attributes_of: Callable[[str, str], Sequence[Attributes]] = path_attributes,
    ) -> None:
        self._client = client
        self._clock = clock
        self._client_ca = client_ca
        self._verifier: LeafVerifier | None = None  # Costs 0.4 MB, so only once somebody asks.
        self._attributes_of = attributes_of
        self._users: _Remembered[User] = _Remembered(clock)
        self._decisions: _Remembered[bool] = _Remembered(clock)

    async def user_of(self, request: Request) -> User | None:
        """None for somebody unknown."""
        leaf = request.peer_certificate
        if leaf is not None:
            cert = self._known().verify(leaf, self._clock.now())
            if cert is not None and common_name(cert):
                return User(common_name(cert), tuple(organizations(cert)))
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return await self._user_of_token(token.strip())
        return None

    def _known(self) -> LeafVerifier:
        if self._verifier is None:
            self._verifier = LeafVerifier.from_file(self._client_ca)
        return self._verifier

    async def _user_of_token(self, token: str) -> User | None:
        key = hashlib.sha256(token.encode()).digest()
        known = self._users.get(key)
        if known is not None:
            return known
        review: Obj = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        try:
            answer = await self._client.create(TOKEN_REVIEWS, review, "")
        except ApiError:
            return None
        if not at(answer, "status", "authenticated"):
            return None
        found = at(answer, "status", "user", default={})
        user = User(
            found.get("username", ""), tuple(found.get("groups") or ()), found.get("uid", "")
        )
        self._users.put(key, user, TOKEN_SECONDS)
        return user

    async def allows(self, user: User, method: str, path: str) -> bool:
        if MASTERS in user.groups:
            return True
        for attributes in self._attributes_of(method, path):
            key = (user, attributes)
            known = self._decisions.get(key)
            if known is None:
                known = await self._review(user, attributes)
                self._decisions.put(key, known, ALLOWED_SECONDS if known else DENIED_SECONDS)
            if known:
                return True
        return False

    async def _review(self, user: User, attributes: Attributes) -> bool:
        asked = dict(attributes)
        kind = "nonResourceAttributes" if "path" in asked else "resourceAttributes"
        review: Obj = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.name,
                "groups": list(user.groups),
                "uid": user.uid,
                kind: asked,
            },
        }
        try:
            answer = await self._client.create(ACCESS_REVIEWS, review, "")
        except ApiError:
            return False
        return bool(at(answer, "status", "allowed"))
