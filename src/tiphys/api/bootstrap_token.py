"""Bootstrap tokens: `ID.SECRET`, kept as Secrets of kube-system, good for a machine that joins.

Upstream: staging/src/k8s.io/cluster-bootstrap/{token/api,util/secrets,util/tokens}.
"""

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Final

from tiphys.api.meta import Obj, at, parse_time

TYPE: Final = "bootstrap.kubernetes.io/token"
NAMESPACE: Final = "kube-system"
NAME_PREFIX: Final = "bootstrap-token-"
USER_PREFIX: Final = "system:bootstrap:"
BASE_GROUP: Final = "system:bootstrappers"
NODE_GROUP: Final = "system:bootstrappers:kubeadm:default-node-token"  # kubeadm's default.
USAGES: Final = ("authentication", "signing")
_TOKEN: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP: Final = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def split(token: str) -> tuple[str, str] | None:
    """(id, secret), or None for what is no bootstrap token."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else None


def value(secret: Obj, key: str) -> str:
    """A decoded entry of a Secret's data; empty when it is missing or no text."""
    try:
        return base64.b64decode(at(secret, "data", key, default="")).decode()
    except ValueError:
        return ""


def has_expired(secret: Obj, now: datetime) -> bool:
    """An end that cannot be read counts as passed."""
    text = value(secret, "expiration")
    if not text:
        return False
    try:
        return parse_time(text) <= now
    except ValueError:
        return True


def is_for(secret: Obj, usage: str) -> bool:
    """usage: `authentication` or `signing`."""
    return value(secret, f"usage-bootstrap-{usage}") == "true"


def groups_of(secret: Obj) -> list[str] | None:
    """Every group of the token's user, sorted; None when one of them may not be given."""
    text = value(secret, "auth-extra-groups")
    extra = {g for g in text.split(",") if g} if text else set()
    if any(not _GROUP.fullmatch(group) for group in extra):
        return None
    return sorted({BASE_GROUP, *extra})


def is_group(name: str) -> bool:
    return _GROUP.fullmatch(name) is not None


def is_named_rightly(secret: Obj) -> bool:
    """Whether a Secret of this type has the name that its token's id asks for."""
    name = str(at(secret, "metadata", "name", default=""))
    return name == f"{NAME_PREFIX}{value(secret, 'token-id')}"


def signature(content: str, token_id: str, secret: str) -> str:
    """A detached JWS (RFC 7515 appendix F) of a text: who has the token knows whose it is.

    Upstream: staging/src/k8s.io/cluster-bootstrap/token/jws/jws.go.
    """
    header = _b64url(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{header}.{_b64url(content.encode())}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{header}..{_b64url(digest)}"


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
