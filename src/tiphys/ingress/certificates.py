"""Certificates of Secrets, and the one for hosts without any. Pure but for `fake_certificate`."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tiphys.api.meta import Obj
from tiphys.ingress.table import Certificate

FAKE_NAME: Final = "Kubernetes Ingress Controller Fake Certificate"  # ingress-nginx's words.
FAKE_HOST: Final = "ingress.local"
FAKE_DAYS: Final = 365
_BACKDATE: Final = timedelta(minutes=5)  # Clocks of machines differ.


class BadCertificate(Exception):
    """What is wrong with a Secret's certificate."""


class Loaded:
    """A certificate that can be served, and the names that it covers."""

    __slots__ = ("certificate", "expires", "names")

    def __init__(self, certificate: Certificate, names: frozenset[str], expires: datetime) -> None:
        self.certificate = certificate
        self.names = names
        self.expires = expires

    def covers(self, host: str) -> bool:
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names


def load(secret: Obj) -> Loaded:
    """Raises BadCertificate."""
    chain, key = _data(secret, "tls.crt"), _data(secret, "tls.key")
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise BadCertificate(f"tls.crt or tls.key is no PEM that can be read: {exc}") from exc
    if private.public_key() != leaf.public_key():
        raise BadCertificate("tls.key is not the key of tls.crt")
    return Loaded(Certificate(chain, key), _names(leaf), leaf.not_valid_after_utc)


def _data(secret: Obj, name: str) -> bytes:
    text = (secret.get("data") or {}).get(name)
    if not text:
        raise BadCertificate(f"it has no {name}")
    try:
        return base64.b64decode(text)
    except binascii.Error as exc:
        raise BadCertificate(f"{name} is no base64: {exc}") from exc


def _names(leaf: x509.Certificate) -> frozenset[str]:
    """Alternative names, or where there are none the common name, as old ones have it."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = found.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not names:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = [str(one.value) for one in common]
    return frozenset(name.lower() for name in names)


def fake_certificate(now: datetime, host: str = FAKE_HOST) -> Certificate:
    """Signed by itself: browsers warn, as they should."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme Co"),
            x509.NameAttribute(NameOID.COMMON_NAME, FAKE_NAME),
        ]
    )
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=FAKE_DAYS))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM), pem)
