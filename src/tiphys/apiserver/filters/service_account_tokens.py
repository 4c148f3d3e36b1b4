"""Service account tokens: signing, and whose a token is as long as its objects live.

A token is a JWT (ES256) bound to a service account and, if asked, to a pod, node or secret. Its
signature is checked once; that its objects still exist with the same uid is checked every time,
which costs a look at the cache. Upstream: pkg/serviceaccount (claims.go, jwt.go), KEP-1205.
"""

import base64
import hashlib
import random
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tiphys.api.meta import Obj, at, uid_of
from tiphys.apiserver.user import ALL_AUTHENTICATED, CREDENTIAL_ID, User, service_account_name
from tiphys.lib.clock import Clock
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import WatchCache

TOKENS_MAX: Final = 10_000  # Verified tokens remembered.
TOKEN_BYTES_MAX: Final = 16 * 1024
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"  # Tokens in Secrets; they do not expire.
_LEGACY: Final = "kubernetes.io/serviceaccount/"
_PRIVATE: Final = "kubernetes.io"
_EXTRA: Final = "authentication.kubernetes.io/"


class _Known:
    """A verified token: its user, and the objects it is bound to, as last seen."""

    __slots__ = ("audiences", "bound", "claims", "expires_at", "user")

    def __init__(
        self, user: User, expires_at: int, bound: list["_Bound"], claims: Mapping[str, Any]
    ) -> None:
        self.user = user
        self.expires_at = expires_at
        self.bound = bound
        self.claims = claims
        self.audiences = frozenset(claims["aud"])


class _Bound:
    __slots__ = ("cache", "key", "seen", "uid")

    def __init__(self, cache: WatchCache, key: str, uid: str) -> None:
        self.cache = cache
        self.key = key
        self.uid = uid
        self.seen: CachedObject | None = None

    def exists(self) -> bool:
        """The object is there with the uid; decoded only when it has changed."""
        now = self.cache.get(self.key)
        if now is None:
            return False
        if now is self.seen:
            return True
        if uid_of(now.decode(self.cache.head)) != self.uid:
            return False
        self.seen = now
        return True


class _BoundSecret(_Bound):
    """The Secret of a token that does not expire: it must still hold that very token."""

    __slots__ = ("_token",)

    def __init__(self, cache: WatchCache, key: str, token: str) -> None:
        super().__init__(cache, key, "")
        self._token = base64.b64encode(token.encode()).decode()

    def exists(self) -> bool:
        now = self.cache.get(self.key)
        if now is None:
            return False
        if now is self.seen:
            return True
        if at(now.decode(self.cache.head), "data", "token") != self._token:
            return False
        self.seen = now
        return True


class ServiceAccountTokens:
    """See the module. `caches` has "serviceaccounts", "pods", "nodes" and "secrets"."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        caches: Mapping[str, WatchCache],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._key = key
        self._public = key.public_key()
        self.issuer = issuer
        self._caches = caches
        self._clock = clock
        self._rng = rng
        self._known: dict[str, _Known] = {}
        self.key_id = _key_id(self._public)

    @classmethod
    def from_file(
        cls,
        path: Path,
        issuer: str,
        caches: Mapping[str, WatchCache],
        clock: Clock,
        rng: random.Random,
    ) -> "ServiceAccountTokens":
        """Raises OSError, ValueError."""
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{path} is no EC key")
        return cls(key, issuer, caches, clock, rng)

    def sign(
        self,
        account: Obj,
        audiences: Sequence[str],
        seconds: int,
        bound: Mapping[str, Obj],
    ) -> tuple[str, int]:
        """(token, Unix time of its end). `bound` has "pod", "node" or "secret" objects."""
        now = int(self._clock.now().timestamp())
        metadata = account["metadata"]
        private: Obj = {"namespace": metadata["namespace"]}
        for kind, obj in bound.items():
            private[kind] = {"name": obj["metadata"]["name"], "uid": uid_of(obj)}
        private["serviceaccount"] = {"name": metadata["name"], "uid": uid_of(account)}
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            _PRIVATE: private,
            "nbf": now,
            "sub": service_account_name(metadata["namespace"], metadata["name"]),
        }
        token = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self.key_id})
        return token, now + seconds

    def user_of(self, token: str, audiences: Sequence[str] = ()) -> User | None:
        """The token's user, or None when it is not ours, has ended, or its objects are gone."""
        known = self._known.get(token)
        if known is None:
            known = self._verify(token)
            if known is None:
                return None
            if len(self._known) >= TOKENS_MAX:
                self._known.clear()
            self._known[token] = known
        if known.expires_at <= self._clock.now().timestamp():
            return None
        if audiences:
            if known.audiences.isdisjoint(audiences):
                return None
        elif self.issuer not in known.audiences:
            return None
        for bound in known.bound:
            now = bound.cache.objects.get(bound.key)
            if (now is None or now is not bound.seen) and not bound.exists():
                return None
        return known.user

    def audiences_of(self, token: str) -> list[str]:
        """Of a token that user_of has accepted."""
        known = self._known.get(token)
        return list(known.claims["aud"]) if known else []

    def _verify(self, token: str) -> _Known | None:
        if len(token) > TOKEN_BYTES_MAX or token.count(".") != 2:
            return None
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["ES256"],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["iss", "sub"],
                },
            )
        except jwt.InvalidTokenError:
            return None
        if claims["iss"] == LEGACY_ISSUER:
            return self._legacy(token, claims)
        if claims["iss"] != self.issuer or not claims.keys() >= {"exp", "nbf", "aud"}:
            return None
        return self._known_of(claims)

    def _legacy(self, token: str, claims: Mapping[str, Any]) -> _Known | None:
        """A token in a Secret. Source: pkg/serviceaccount/legacy.go legacyValidator."""
        given = {k.removeprefix(_LEGACY): v for k, v in claims.items() if k.startswith(_LEGACY)}
        namespace, name = given.get("namespace", ""), given.get("service-account.name", "")
        secret, uid = given.get("secret.name", ""), given.get("service-account.uid", "")
        if not secret or not uid or claims["sub"] != service_account_name(namespace, name):
            return None
        accounts, secrets = self._caches["serviceaccounts"], self._caches["secrets"]
        bound = [
            _Bound(accounts, f"{accounts.prefix}{namespace}/{name}", uid),
            _BoundSecret(secrets, f"{secrets.prefix}{namespace}/{secret}", token),
        ]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        user = User(claims["sub"], (*groups, ALL_AUTHENTICATED), uid, {})
        return _Known(user, sys.maxsize, bound, {"aud": [self.issuer]})

    def _known_of(self, claims: Mapping[str, Any]) -> _Known | None:
        private = claims.get(_PRIVATE)
        if not isinstance(private, dict) or claims["nbf"] > self._clock.now().timestamp() + 1:
            return None
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        name = account.get("name", "")
        if claims["sub"] != service_account_name(namespace, name):
            return None
        accounts = self._caches["serviceaccounts"]
        bound = [_Bound(accounts, f"{accounts.prefix}{namespace}/{name}", account.get("uid", ""))]
        extra = {CREDENTIAL_ID: (f"JTI={claims.get('jti', '')}",)}
        for kind, plural in (("pod", "pods"), ("node", "nodes"), ("secret", "secrets")):
            ref = private.get(kind)
            if not ref:
                continue
            cache = self._caches[plural]
            where = "" if kind == "node" else f"{namespace}/"
            # A pod's token also names its node, which may go away before the pod.
            if kind != "node" or "pod" not in private:
                bound.append(_Bound(cache, f"{cache.prefix}{where}{ref['name']}", ref["uid"]))
            if kind != "secret":
                extra[f"{_EXTRA}{kind}-name"] = (ref["name"],)
                extra[f"{_EXTRA}{kind}-uid"] = (ref["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
        user = User(claims["sub"], (*groups, ALL_AUTHENTICATED), account.get("uid", ""), extra)
        return _Known(user, int(claims["exp"]), bound, claims)

    def jwks(self) -> Obj:
        """The public key set of /openid/v1/jwks (RFC 7517)."""
        numbers = self._public.public_numbers()
        return {
            "keys": [
                {
                    "use": "sig",
                    "kty": "EC",
                    "kid": self.key_id,
                    "crv": "P-256",
                    "alg": "ES256",
                    "x": _b64(numbers.x.to_bytes(32, "big")),
                    "y": _b64(numbers.y.to_bytes(32, "big")),
                }
            ]
        }


def _key_id(public: ec.EllipticCurvePublicKey) -> str:
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _b64(hashlib.sha256(der).digest())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
