"""What a machine learns of a cluster before it trusts it, and why it then may. Pure.

The cluster's authority comes from a ConfigMap that everybody may read. Two things make it certain:
a signature that only somebody with the token can make, and the pin of the authority's key.
Upstream: cmd/kubeadm/app/discovery/token/token.go, RFC 7469 section 2.4.
"""

import base64
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tiphys.api import bootstrap_token
from tiphys.cluster.join_tokens import HASH_PREFIX, pin_of

SIGNATURE_PREFIX: Final = "jws-kubeconfig-"
_HASH_DIGITS: Final = 64


class DiscoveryError(Exception):
    """The cluster is not the one that was meant, or says nothing usable: why."""


class NotSignedYet(DiscoveryError):
    """The token is unknown, or so new that the cluster has not signed with it."""


@dataclass(frozen=True, slots=True)
class Found:
    """kubeconfig: the text that was signed."""

    server: str
    ca_pem: bytes
    kubeconfig: str


def found_in(data: Mapping[str, str], token: str, pins: Collection[str]) -> Found:
    """What cluster-info says, when token and pins prove it. No pins: the token alone does.

    Raises DiscoveryError.
    """
    parts = bootstrap_token.split(token)
    if parts is None:
        raise DiscoveryError(f'"{token}" is not a token: it has 6 and 16 characters, and a dot')
    text = data.get("kubeconfig", "")
    given = data.get(f"{SIGNATURE_PREFIX}{parts[0]}")
    if given is None:
        raise NotSignedYet(f'the cluster knows no token "{parts[0]}", or it has ended')
    if not hmac.compare_digest(given.encode(), bootstrap_token.signature(text, *parts).encode()):
        raise DiscoveryError("the cluster's signature is not made with this token")
    found = _read(text)
    pin = _pin(found.ca_pem)
    if pins and pin not in pins:
        raise DiscoveryError(f"the cluster's authority has the hash {pin}, not the given one")
    return found


def check_pin(pin: str) -> str:
    """Raises DiscoveryError for what is no `sha256:` and 64 hexadecimal digits."""
    digits = pin.removeprefix(HASH_PREFIX).lower()
    is_hex = len(digits) == _HASH_DIGITS and set(digits) <= set("0123456789abcdef")
    if not pin.startswith(HASH_PREFIX) or not is_hex:
        raise DiscoveryError(f'"{pin}" is no hash: write it as sha256: and {_HASH_DIGITS} digits')
    return HASH_PREFIX + digits


def _pin(ca_pem: bytes) -> str:
    try:
        return pin_of(ca_pem)
    except ValueError as exc:
        raise DiscoveryError(f"the cluster's authority cannot be read: {exc}") from exc


def _read(text: str) -> Found:
    try:
        cluster = json.loads(text)["clusters"][0]["cluster"]
        ca_pem = base64.b64decode(cluster["certificate-authority-data"])
        return Found(str(cluster["server"]), ca_pem, text)
    except (ValueError, KeyError, IndexError, TypeError) as exc:
        raise DiscoveryError(f"the cluster's kubeconfig cannot be read: {exc}") from exc
