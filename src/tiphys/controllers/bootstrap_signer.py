"""Bootstrap signer: ConfigMap cluster-info carries a signature for each bootstrap token.

A machine that joins reads it before it knows the cluster's authority: only who knows the token
can have signed it. Upstream: pkg/controller/bootstrap/bootstrapsigner.go.
Reads Secret, ConfigMap. Writes ConfigMap kube-public/cluster-info.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from tiphys.api import bootstrap_token
from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, key_of, namespace_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import CONFIG_MAPS, SECRETS

KEY: Final = ObjectKey("kube-public", "cluster-info")
KUBECONFIG: Final = "kubeconfig"
SIGNATURE_PREFIX: Final = "jws-kubeconfig-"


def signed(data: dict[str, str], tokens: dict[str, str]) -> dict[str, str]:
    """The ConfigMap's data with one signature per token (id -> secret), and no other."""
    content = data.get(KUBECONFIG)
    kept = {k: v for k, v in data.items() if not k.startswith(SIGNATURE_PREFIX)}
    if content is None:
        return kept
    for token_id, secret in tokens.items():
        name = f"{SIGNATURE_PREFIX}{token_id}"
        kept[name] = bootstrap_token.signature(content, token_id, secret)
    return kept


def signing_tokens(secrets: Iterable[Obj], now: datetime) -> dict[str, str]:
    """id -> secret of the tokens that may be signed with."""
    found = {}
    for secret in secrets:
        if secret.get("type") != bootstrap_token.TYPE:
            continue
        if namespace_of(secret) != bootstrap_token.NAMESPACE:
            continue
        usable = bootstrap_token.is_for(secret, "signing")
        if not usable or bootstrap_token.has_expired(secret, now):
            continue
        token_id = bootstrap_token.value(secret, "token-id")
        token_secret = bootstrap_token.value(secret, "token-secret")
        if token_secret and bootstrap_token.is_named_rightly(secret):
            found[token_id] = token_secret
    return found


class BootstrapSigner(KeyedController):
    name = "bootstrap-signer-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("bootstrap-signer")
        self._clock = context.clock
        self._secrets = context.informers.of(SECRETS)
        self._maps = context.informers.of(CONFIG_MAPS)
        self._secrets.on_change(self._secret_changed)
        self._maps.on_change(self._map_changed)

    def _secret_changed(self, old: Obj | None, new: Obj | None) -> None:
        if any(s is not None and s.get("type") == bootstrap_token.TYPE for s in (old, new)):
            self.queue.add(KEY)

    def _map_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and key_of(new) == KEY:
            self.queue.add(KEY)

    async def reconcile(self, key: ObjectKey) -> float | None:
        found = self._maps.get(key)
        if found is None:
            return None
        data = found.get("data") or {}
        wanted = signed(data, signing_tokens(self._secrets.items(), self._clock.now()))
        if wanted == data:
            return None
        try:
            await self._client.update(CONFIG_MAPS, found | {"data": wanted})
        except NotFound:
            return None
        return None
