"""Signing with an authority's key: a request becomes a certificate.

Upstream: pkg/controller/certificates/authority (authority.go, policies.go).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tiphys.lib import certificate_request

BACKDATE: Final = timedelta(minutes=5)  # Clocks of machines differ.
SHORT: Final = timedelta(hours=8)  # A shorter life is not cut by what it is dated back.
_PURPOSES: Final = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
_KEY_USAGES: Final = frozenset(
    {
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "data encipherment",
        "key agreement",
        "cert sign",
        "crl sign",
    }
)


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def from_files(cls, certificate: Path, key: Path) -> "Authority":
        """Raises OSError, ValueError."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key} is no EC key")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)

    def sign(
        self,
        request: x509.CertificateSigningRequest,
        usages: Sequence[str],
        life: timedelta,
        now: datetime,
    ) -> bytes:
        """PEM. Of the request its subject, key and other names are taken, nothing else."""
        start, end = period(life, now, self.certificate.not_valid_after_utc)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
        )
        if not _KEY_USAGES.isdisjoint(usages):  # One that allows nothing would be refused.
            builder = builder.add_extension(_key_usage(usages), critical=True)
        purposes = list(dict.fromkeys(_PURPOSES[u] for u in usages if u in _PURPOSES))
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = certificate_request.alternatives_of(request)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)


def period(life: timedelta, now: datetime, authority_end: datetime) -> tuple[datetime, datetime]:
    """From when to when a certificate is valid, never longer than its authority."""
    end = now + life if life < SHORT else now + life - BACKDATE
    return now - BACKDATE, min(end, authority_end)


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    agrees = "key agreement" in usages
    return x509.KeyUsage(
        digital_signature="digital signature" in usages or "signing" in usages,
        content_commitment="content commitment" in usages,
        key_encipherment="key encipherment" in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement=agrees,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only=agrees and "encipher only" in usages,
        decipher_only=agrees and "decipher only" in usages,
    )
