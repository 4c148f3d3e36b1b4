"""Who makes a request: whom a front proxy names, a certificate, a bearer token, or nobody.

The certificate is the connection's, so its user is found once per connection; a token's user is
remembered by the token. Upstream: apiserver pkg/authentication/request, --anonymous-auth.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tiphys.api.errors import Unauthorized
from tiphys.apiserver.filters.bootstrap_tokens import BootstrapTokens
from tiphys.apiserver.filters.request_header import RequestHeaderAuthenticator
from tiphys.apiserver.filters.service_account_tokens import ServiceAccountTokens
from tiphys.apiserver.user import (
    ALL_AUTHENTICATED,
    ALL_UNAUTHENTICATED,
    ANONYMOUS,
    CREDENTIAL_ID,
    User,
)
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Request
from tiphys.lib.tls import LeafVerifier, common_name, organizations

if TYPE_CHECKING:  # Loaded only where there is an issuer, or a file.
    from tiphys.apiserver.filters.oidc import OidcTokens
    from tiphys.apiserver.filters.static_tokens import StaticTokens

_BEARER: Final = "bearer "
_SUBPROTOCOLS: Final = "sec-websocket-protocol"


class _CertificateUser:
    """What a connection remembers of its certificate."""

    __slots__ = ("until", "user")

    def __init__(self, user: User, until: datetime) -> None:
        self.user = user
        self.until = until


class Authenticator:
    """See the module."""

    def __init__(
        self,
        clients: LeafVerifier,
        tokens: ServiceAccountTokens,
        clock: Clock,
        front_proxy: RequestHeaderAuthenticator | None = None,
        bootstrap: BootstrapTokens | None = None,
        oidc: "Sequence[OidcTokens]" = (),
        static: "StaticTokens | None" = None,
        anonymous_paths: frozenset[str] | None = None,
    ) -> None:
        """anonymous_paths: where who shows nothing is nobody; None: everywhere."""
        self._anonymous_paths = anonymous_paths
        self._static = static
        self._bootstrap = bootstrap
        self._oidc = oidc
        self._front_proxy = front_proxy
        self._clients = clients
        self._tokens = tokens
        self._clock = clock
        self._anonymous = User(ANONYMOUS, (ALL_UNAUTHENTICATED,))
        self._users: dict[bytes, User] = {}

    def authenticate(self, request: Request) -> User:
        """Raises Unauthorized for credentials that are wrong; none at all is anonymous."""
        if self._front_proxy is not None:
            named = self._front_proxy.user_of(request)
            if named is not None:
                return named
        known = request.connection.notes
        if type(known) is _CertificateUser and self._clock.now() < known.until:
            return known.user
        leaf = request.peer_certificate
        # As upstream: whom a certificate names, no token makes somebody else.
        if leaf is not None and (user := self._by_certificate(request, leaf)) is not None:
            return user
        header = request.headers.get("authorization")
        if header is not None and header[:7].lower() == _BEARER:
            return self._by_token(header[7:].strip())
        if _SUBPROTOCOLS in request.headers and request.wants_upgrade:
            from tiphys.apiserver.filters import websocket_token

            if token := websocket_token.token_of(request):
                return self._by_token(token)
        paths = self._anonymous_paths
        if leaf is not None or (paths is not None and request.path not in paths):
            raise Unauthorized
        return self._anonymous

    def _by_token(self, token: str) -> User:
        user = self._tokens.user_of(token) or self.foreign_user_of(token)
        if user is None:
            raise Unauthorized
        return user

    def foreign_user_of(self, token: str) -> User | None:
        """The user of a token of the file, of bootstrap, or of another issuer."""
        user = None if self._static is None else self._static.user_of(token)
        if user is None and self._bootstrap is not None:
            user = self._bootstrap.user_of(token)
        for issuer in self._oidc:
            if user is None:
                user = issuer.user_of(token)
        return user

    def _by_certificate(self, request: Request, leaf_der: bytes) -> User | None:
        """None for one that is not of our authority, has ended or names nobody."""
        leaf = self._clients.verify(leaf_der, self._clock.now())
        name = common_name(leaf) if leaf is not None else ""
        if leaf is None or not name:
            return None
        # One User per certificate, so that its connections share what the authorizer remembers.
        user = self._users.get(leaf_der)
        if user is None:
            user = User(
                name,
                (*organizations(leaf), ALL_AUTHENTICATED),
                extra={CREDENTIAL_ID: (_credential_id(leaf_der),)},
            )
            if len(self._users) >= USERS_MAX:
                self._users.clear()
            self._users[leaf_der] = user
        request.connection.notes = _CertificateUser(user, leaf.not_valid_after_utc)
        return user


USERS_MAX: Final = 10_000


def _credential_id(leaf_der: bytes) -> str:
    import hashlib

    return f"X509SHA256={hashlib.sha256(leaf_der).hexdigest()}"
