"""Tokens in Secrets: a Secret that names a ServiceAccount gets a token of it that does not expire.

Only Secrets that somebody made for this are filled; they go when their account goes.
Upstream: pkg/controller/serviceaccount/tokens_controller.go, pkg/serviceaccount/legacy.go.
Reads ServiceAccount, Secret. Writes Secret. Acts as the controller manager itself.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tiphys.api.errors import NotFound
from tiphys.api.meta import (
    Obj,
    ObjectKey,
    annotations_of,
    is_terminating,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import SECRETS, SERVICE_ACCOUNTS

TYPE: Final = "kubernetes.io/service-account-token"
ACCOUNT_NAME: Final = "kubernetes.io/service-account.name"
ACCOUNT_UID: Final = "kubernetes.io/service-account.uid"
ISSUER: Final = "kubernetes/serviceaccount"  # LegacyIssuer
_CLAIM: Final = "kubernetes.io/serviceaccount/"


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """Signs with the key that the API server verifies with."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def from_file(cls, path: Path) -> "TokenSigner":
        """Raises OSError, ValueError."""
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} is no EC key")
        return cls(key)

    def sign(self, account: Obj, secret: Obj) -> str:
        """The account's token, good for as long as the Secret holds it."""
        return jwt.encode(claims_of(account, secret), self.key, algorithm="ES256")


def claims_of(account: Obj, secret: Obj) -> Obj:
    namespace, name = namespace_of(account), name_of(account)
    return {
        "iss": ISSUER,
        "sub": f"system:serviceaccount:{namespace}:{name}",
        f"{_CLAIM}namespace": namespace,
        f"{_CLAIM}secret.name": name_of(secret),
        f"{_CLAIM}service-account.name": name,
        f"{_CLAIM}service-account.uid": uid_of(account),
    }


def filled(secret: Obj, account: Obj, root_ca: bytes, signer: TokenSigner) -> Obj | None:
    """The Secret with all that it should hold; None when it does."""
    data: dict[str, str] = dict(secret.get("data") or {})
    data["ca.crt"] = _encoded(root_ca)
    if not data.get("namespace"):
        data["namespace"] = _encoded(namespace_of(secret).encode())
    if not data.get("token"):
        data["token"] = _encoded(signer.sign(account, secret).encode())
    annotations = {**annotations_of(secret), ACCOUNT_UID: uid_of(account)}
    if data == secret.get("data") and annotations == annotations_of(secret):
        return None
    return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}, "data": data}


def belongs_to(secret: Obj, account: Obj) -> bool:
    """A Secret that names another account of the same name, made before, does not."""
    return annotations_of(secret).get(ACCOUNT_UID, uid_of(account)) == uid_of(account)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


class TokenController(KeyedController):
    name = "serviceaccount-token-controller"

    def __init__(self, context: Context, signer: TokenSigner, root_ca: bytes) -> None:
        super().__init__()
        self._client = context.client
        self._signer = signer
        self._root_ca = root_ca
        self._accounts = context.informers.of(SERVICE_ACCOUNTS)
        self._secrets = context.informers.of(SECRETS, field_selector=f"type={TYPE}")
        self._secrets.on_change(self.enqueue)
        self._accounts.on_change(self._account_changed)

    def _account_changed(self, old: Obj | None, new: Obj | None) -> None:
        account = new or old
        assert account is not None
        for secret in self._secrets.items():
            same = namespace_of(secret) == namespace_of(account)
            if same and annotations_of(secret).get(ACCOUNT_NAME) == name_of(account):
                self.queue.add(key_of(secret))

    async def reconcile(self, key: ObjectKey) -> float | None:
        secret = self._secrets.get(key)
        name = annotations_of(secret).get(ACCOUNT_NAME) if secret is not None else None
        if secret is None or not name or is_terminating(secret):
            return None
        try:
            account = await self._account(ObjectKey(key.namespace, name))
            if account is None or not belongs_to(secret, account):
                await self._client.delete(SECRETS, key.name, key.namespace, uid=uid_of(secret))
                return None
            wanted = filled(secret, account, self._root_ca, self._signer)
            if wanted is not None:
                await self._client.update(SECRETS, wanted)
        except NotFound:
            return None
        return None

    async def _account(self, key: ObjectKey) -> Obj | None:
        """The account as cached, or as the server knows it when the cache is behind."""
        found = self._accounts.get(key)
        if found is not None:
            return found
        try:
            return await self._client.get(SERVICE_ACCOUNTS, key.name, key.namespace)
        except NotFound:
            return None
