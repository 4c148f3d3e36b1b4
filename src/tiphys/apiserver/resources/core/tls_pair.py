"""Whether a certificate and a key of a TLS secret fit, in Go's words.

Upstream: pkg/registry/core/secret/strategy.go (warnings), Go's crypto/tls (X509KeyPair).
"""

import re
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n.*?-----END \1-----", re.DOTALL)
_SWITCHED: Final = (
    "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
    "PEM inputs may have been switched"
)
_KEY_WANTED: Final = (
    'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping '
    "PEM blocks of the following types: "
)
_CERTIFICATE_WANTED: Final = (
    'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks '
    "of the following types: "
)


def problem(certificate: bytes, key: bytes) -> str:
    """Empty when they fit."""
    kinds = _kinds(certificate)
    if "CERTIFICATE" not in kinds:
        return _no_certificate(kinds)
    kinds = _kinds(key)
    if not any(kind.endswith("PRIVATE KEY") for kind in kinds):
        return _no_key(kinds)
    return _unfit(certificate, key)


def _kinds(pem: bytes) -> list[str]:
    return [kind.decode() for kind in _BLOCK.findall(pem)]


def _no_certificate(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in certificate input"
    if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
        return _SWITCHED
    return f"{_CERTIFICATE_WANTED}[{' '.join(kinds)}]"


def _no_key(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in key input"
    if kinds == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return f"{_KEY_WANTED}[{' '.join(kinds)}]"


def _unfit(certificate: bytes, key: bytes) -> str:
    try:
        public = x509.load_pem_x509_certificates(certificate)[0].public_key()
    except (ValueError, TypeError):
        return "x509: malformed certificate"
    try:
        own = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    if type(own) is not type(public):
        return "tls: private key type does not match public key type"
    forms = [k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for k in (own, public)]
    return "" if forms[0] == forms[1] else "tls: private key does not match public key"
