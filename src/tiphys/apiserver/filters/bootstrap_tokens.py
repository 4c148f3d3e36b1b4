"""Whose a bootstrap token is: a machine that joins has nothing else yet.

The Secret is read at every request, so that a token ends with it.
Upstream: plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go.
"""

import hmac

from tiphys.api import bootstrap_token
from tiphys.api.meta import Obj, is_terminating
from tiphys.apiserver.user import ALL_AUTHENTICATED, User
from tiphys.lib.clock import Clock
from tiphys.storage.watch_cache import WatchCache


class BootstrapTokens:
    def __init__(self, secrets: WatchCache, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def user_of(self, token: str) -> User | None:
        """The token's user; None when it is not ours, has ended or may not be used for this."""
        parts = bootstrap_token.split(token)
        if parts is None:
            return None
        token_id, secret_part = parts
        name = f"{bootstrap_token.NAME_PREFIX}{token_id}"
        key = f"{self._secrets.prefix}{bootstrap_token.NAMESPACE}/{name}"
        cached = self._secrets.get(key)
        if cached is None:
            return None
        secret = cached.decode(self._secrets.head)
        if not self._is_good(secret, token_id, secret_part):
            return None
        groups = bootstrap_token.groups_of(secret)
        if groups is None:
            return None
        return User(f"{bootstrap_token.USER_PREFIX}{token_id}", (*groups, ALL_AUTHENTICATED))

    def _is_good(self, secret: Obj, token_id: str, secret_part: str) -> bool:
        found = bootstrap_token.value(secret, "token-secret")
        return (
            secret.get("type") == bootstrap_token.TYPE
            and not is_terminating(secret)
            and hmac.compare_digest(found.encode(), secret_part.encode())
            and bootstrap_token.value(secret, "token-id") == token_id
            and bootstrap_token.is_for(secret, "authentication")
            and not bootstrap_token.has_expired(secret, self._clock.now())
        )
