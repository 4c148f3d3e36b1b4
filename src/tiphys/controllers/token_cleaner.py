"""Token cleaner: bootstrap tokens go when their time is over.

Upstream: pkg/controller/bootstrap/tokencleaner.go. Reads Secret. Deletes Secret.
"""

from datetime import datetime

from tiphys.api import bootstrap_token
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, parse_time, uid_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import SECRETS


def seconds_left(secret: Obj, now: datetime) -> float | None:
    """Seconds until a token goes; None = it stays. An end that cannot be read has passed."""
    if bootstrap_token.has_expired(secret, now):
        return 0.0
    text = bootstrap_token.value(secret, "expiration")
    return (parse_time(text) - now).total_seconds() if text else None


class TokenCleaner(KeyedController):
    name = "token-cleaner-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("token-cleaner")
        self._clock = context.clock
        self._secrets = context.informers.of(SECRETS)
        self._secrets.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and new.get("type") == bootstrap_token.TYPE:
            self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> float | None:
        secret = self._secrets.get(key)
        if secret is None or key.namespace != bootstrap_token.NAMESPACE:
            return None
        left = seconds_left(secret, self._clock.now())
        if left is None or left > 0:
            return left
        try:
            await self._client.delete(SECRETS, key.name, key.namespace, uid=uid_of(secret))
        except NotFound:
            return None
        return None
