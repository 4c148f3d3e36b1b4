"""Bootstrap tokens as their administrator sees them: making, describing, the command to join. Pure.

Upstream: cmd/kubeadm/app/apis/bootstraptoken/v1/utils.go, cmd/kubeadm/app/cmd/token.go.
"""

import base64
import hashlib
import random
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tiphys.api import bootstrap_token
from tiphys.api.meta import Obj, at, rfc3339

TTL_DEFAULT: Final = "24h0m0s"
DESCRIPTION_DEFAULT: Final = ""
HASH_PREFIX: Final = "sha256:"
_ALPHABET: Final = string.ascii_lowercase + string.digits
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True)
class Token:
    """ends: None = never."""

    token: str
    ends: datetime | None
    usages: tuple[str, ...] = bootstrap_token.USAGES
    description: str = ""
    groups: tuple[str, ...] = (bootstrap_token.NODE_GROUP,)

    @property
    def token_id(self) -> str:
        return self.token.partition(".")[0]


def draw(rng: random.Random) -> str:
    """A new token. rng must be one that nobody can guess."""
    letters = [rng.choice(_ALPHABET) for _ in range(22)]
    return f"{''.join(letters[:6])}.{''.join(letters[6:])}"


def duration(text: str) -> timedelta:
    """`24h`, `1h30m`, `0`: as Go writes them. Raises ValueError."""
    if text == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f'"{text}" is no duration: write it as 24h, 1h30m or 45s; 0 is for ever')
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def secret_of(token: Token) -> Obj:
    token_id, _, secret = token.token.partition(".")
    data = {"token-id": token_id, "token-secret": secret}
    data |= {f"usage-bootstrap-{usage}": "true" for usage in token.usages}
    if token.description:
        data["description"] = token.description
    if token.ends is not None:
        data["expiration"] = rfc3339(token.ends)
    if token.groups:
        data["auth-extra-groups"] = ",".join(token.groups)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name_of(token_id), "namespace": bootstrap_token.NAMESPACE},
        "type": bootstrap_token.TYPE,
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


def name_of(token_id: str) -> str:
    return f"{bootstrap_token.NAME_PREFIX}{token_id}"


def row(secret: Obj, now: datetime) -> list[str]:
    """As `kubeadm token list` shows it."""
    value = bootstrap_token.value
    ends = value(secret, "expiration")
    usages = [u for u in bootstrap_token.USAGES if bootstrap_token.is_for(secret, u)]
    return [
        f"{value(secret, 'token-id')}.{value(secret, 'token-secret')}",
        left(ends, now),
        ends or "<never>",
        ",".join(usages) or "<none>",
        value(secret, "description") or "<none>",
        value(secret, "auth-extra-groups") or "<none>",
    ]


def left(ends: str, now: datetime) -> str:
    """How long a token is still good, in the largest unit that fits."""
    from tiphys.api.meta import parse_time

    if not ends:
        return "<forever>"
    try:
        seconds = int((parse_time(ends) - now).total_seconds())
    except ValueError:
        return "<invalid>"
    if seconds <= 0:
        return "<expired>"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def tokens_in(secrets: Sequence[Obj]) -> list[Obj]:
    return [s for s in secrets if at(s, "type") == bootstrap_token.TYPE]


def pin_of(certificate_pem: bytes) -> str:
    """`sha256:HEX` of an authority's public key (RFC 7469 section 2.4), as kubeadm prints it."""
    public = x509.load_pem_x509_certificate(certificate_pem).public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"{HASH_PREFIX}{hashlib.sha256(der).hexdigest()}"


def join_command(server: str, token: str, pin: str) -> str:
    return f"tiphys join {server} --token {token} --ca-hash {pin}"
