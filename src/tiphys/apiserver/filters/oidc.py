"""ID tokens of an OpenID Connect issuer: whose they are. The keys come from outside (oidc_keys.py).

Issuers come from flags, or many of them from a file (authentication_config.py).
Upstream: apiserver plugin/pkg/authenticator/token/oidc; --oidc-*.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import jwt

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.user import User
from tiphys.lib.clock import Clock

TOKENS_MAX: Final = 4096  # Verified tokens remembered.
TOKEN_BYTES_MAX: Final = 16 * 1024
REMEMBERED_SECONDS: Final = 10.0  # Upstream's cache of tokens that were accepted.
NOT_BEFORE_LEEWAY_SECONDS: Final = 300.0  # go-oidc, for clocks that go wrong.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}
)


UserOf: TypeAlias = Callable[[Mapping[str, Any]], User | None]
"""Whom a token's claims make; None where they are not as they must be."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed, if they are for one of the audiences.

    `authority` is PEM, for its servers' certificates; empty: the machine's. `discovery_url` is
    where its document is, if not where the issuer's name says.
    """

    url: str
    audiences: tuple[str, ...]
    user_of: UserOf
    signing_algs: tuple[str, ...] = tuple(sorted(ALGORITHMS))
    authority: str = ""
    discovery_url: str = ""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """Upstream's flags of the same names. A prefix of None is the default, "-" is none."""

    issuer_url: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str | None = None
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: tuple[tuple[str, str], ...] = ()
    signing_algs: tuple[str, ...] = ("RS256",)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.issuer_url.startswith("https://"):
            raise ValueError(f"the issuer {self.issuer_url!r} is no https URL")
        if not self.client_id:
            raise ValueError("a client id is wanted with an issuer")
        unknown = [one for one in self.signing_algs if one not in ALGORITHMS]
        if unknown:
            raise ValueError(f"signing algorithm {unknown[0]!r} is none of {sorted(ALGORITHMS)}")

    def issuer(self) -> Issuer:
        """Raises OSError, ValueError."""
        from tiphys.apiserver.filters.claim_mapping import mapping_of

        authority = "" if self.ca_file is None else self.ca_file.read_text()
        errors: list[FieldError] = []
        user_of = mapping_of(self._entry(), "jwt", errors)
        if errors:
            raise ValueError(
                f"the flags --oidc-* do not fit together: {errors[0].path} {errors[0].text()}"
            )
        return Issuer(self.issuer_url, (self.client_id,), user_of, self.signing_algs, authority)

    def _entry(self) -> Obj:
        """What a file of issuers would say."""
        groups_prefix = "" if self.groups_prefix == "-" else self.groups_prefix
        groups = {"claim": self.groups_claim, "prefix": groups_prefix} if self.groups_claim else {}
        username = {"claim": self.username_claim, "prefix": self._prefix_of_users()}
        rules = [{"claim": claim, "requiredValue": value} for claim, value in self.required_claims]
        mappings = {"username": username, "groups": groups}
        return {"claimMappings": mappings, "claimValidationRules": rules}

    def _prefix_of_users(self) -> str:
        """Other claims than email are unique only with their issuer."""
        if self.username_prefix is not None:
            return "" if self.username_prefix == "-" else self.username_prefix
        return "" if self.username_claim == "email" else f"{self.issuer_url}#"


class Keys:
    """The issuer's keys (JWK, RFC 7517) by their ids, as they are known now."""

    def __init__(self) -> None:
        self.by_id: Mapping[str, Any] = {}
        self.wanted = asyncio.Event()
        """A token named a key that is not known: look again."""

    def replace(self, by_id: Mapping[str, Any]) -> None:
        self.by_id = by_id
        self.wanted.clear()


def config_of(config: ApiServerConfig) -> OidcConfig:
    """Raises ValueError for flags that do not fit together."""
    return OidcConfig(
        issuer_url=config.oidc_issuer_url,
        client_id=config.oidc_client_id,
        username_claim=config.oidc_username_claim,
        username_prefix=config.oidc_username_prefix,
        groups_claim=config.oidc_groups_claim,
        groups_prefix=config.oidc_groups_prefix,
        required_claims=config.oidc_required_claims,
        signing_algs=config.oidc_signing_algs,
        ca_file=config.oidc_ca_file,
    )


class _Known:
    __slots__ = ("expires_at", "until", "user")

    def __init__(self, user: User, expires_at: float, until: float) -> None:
        self.user = user
        self.expires_at = expires_at
        self.until = until


class OidcTokens:
    """See the module."""

    def __init__(self, issuer: Issuer, keys: Keys, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def user_of(self, token: str) -> User | None:
        """None for what is no valid token of the issuer."""
        now = self._clock.monotonic()
        known = self._known.get(token)
        if known is not None and now < known.until and self._seconds() < known.expires_at:
            return known.user
        claims = self._claims(token)
        user = None if claims is None else self._issuer.user_of(claims)
        if claims is None or user is None:
            self._known.pop(token, None)
            return None
        if known is not None and (known.user.name, known.user.groups) == (user.name, user.groups):
            user = known.user  # The authorizer remembers what it decided about this one.
        if len(self._known) >= TOKENS_MAX:
            self._known.clear()
        self._known[token] = _Known(user, float(claims["exp"]), now + REMEMBERED_SECONDS)
        return user

    def _claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that the issuer signed, for us, and that has not ended."""
        if len(token) > TOKEN_BYTES_MAX:
            return None
        issuer = self._issuer
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return None
        if unverified.get("iss") != issuer.url:
            return None
        key_id = str(header.get("kid", ""))
        entry = self._keys.by_id.get(key_id)
        if entry is None:
            self._keys.wanted.set()
            return None
        algorithm = header.get("alg")
        if algorithm not in issuer.signing_algs or not _fits(entry, algorithm):
            return None
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        options |= {"require": ["exp", "iss", "aud"]}
        try:
            claims = jwt.decode(
                token,
                jwt.PyJWK(entry, algorithm=algorithm),
                algorithms=[algorithm],
                audience=issuer.audiences,
                issuer=issuer.url,
                options=options,
            )
        except (jwt.PyJWTError, TypeError, ValueError):
            return None
        return claims if self._is_timely(claims) else None

    def _is_timely(self, claims: Mapping[str, Any]) -> bool:
        now, ends, begins = self._seconds(), claims["exp"], claims.get("nbf", 0)
        if not isinstance(ends, (int, float)) or not isinstance(begins, (int, float)):
            return False
        return bool(begins - NOT_BEFORE_LEEWAY_SECONDS <= now < ends)

    def _seconds(self) -> float:
        return self._clock.now().timestamp()


def _fits(entry: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key is of the kind; which algorithm it is for it need not say (RFC 7517, 4.4)."""
    kind = "EC" if algorithm.startswith("ES") else "RSA"
    return entry.get("kty") == kind and entry.get("alg", algorithm) == algorithm
