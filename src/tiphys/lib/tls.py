"""TLS: contexts for servers and clients, and which authority a client's certificate comes from.

The TLS layer asks for a client certificate and checks that one of the known authorities signed
it. Which of them did is decided by `LeafVerifier`, one per authority: two authorities mean two
different rights, and a subject alone proves nothing.
"""

import hashlib
import ssl
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.lib.tls_trust import trusting

LEAVES_MAX: Final = 4096  # Verified certificates remembered by each verifier.


def server_context(
    cert_file: Path | str | None,
    key_file: Path | str | None,
    client_ca_files: Iterable[Path | str] = (),
) -> ssl.SSLContext:
    """TLS 1.3 only; with client_ca_files a client may show a certificate of one of them.

    No cert_file: it comes later, by load_cert_chain, and until then no handshake succeeds.
    Raises OSError or ssl.SSLError when a file is missing or no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    context.set_alpn_protocols(["http/1.1"])
    for ca_file in client_ca_files:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(ca_file)
    return context


def offer_http2(context: ssl.SSLContext) -> None:
    """Speak HTTP/2 with clients that prefer it (RFC 7301); others go on with HTTP/1.1."""
    context.set_alpn_protocols(["h2", "http/1.1"])


def client_context(
    ca_file: Path | str, cert_file: Path | str | None = None, key_file: Path | str | None = None
) -> ssl.SSLContext:
    """Trust only this authority; show this certificate. Raises OSError or ssl.SSLError."""
    context = trusting(Path(ca_file).read_bytes())
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


class LeafVerifier:
    """Says whether a leaf certificate (DER) is this authority's, for a client, and valid.

    Answers are remembered by the certificate's hash; the validity period is checked every time.
    """

    def __init__(self, authorities: list[x509.Certificate]) -> None:
        self._authorities = authorities
        self._known: OrderedDict[bytes, x509.Certificate | None] = OrderedDict()

    @classmethod
    def from_file(cls, path: Path | str) -> "LeafVerifier":
        """Raises OSError or ValueError."""
        return cls(x509.load_pem_x509_certificates(Path(path).read_bytes()))

    def verify(self, leaf_der: bytes, now: datetime) -> x509.Certificate | None:
        """The parsed certificate, or None where it is not this authority's or not valid now."""
        digest = hashlib.sha256(leaf_der).digest()
        if digest in self._known:
            leaf = self._known[digest]
        else:
            leaf = self._check(leaf_der)
            self._known[digest] = leaf
            if len(self._known) > LEAVES_MAX:
                self._known.popitem(last=False)
        if leaf is None or not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            return None
        return leaf

    def _check(self, leaf_der: bytes) -> x509.Certificate | None:
        try:
            leaf = x509.load_der_x509_certificate(leaf_der)
        except (ValueError, UnsupportedAlgorithm):
            return None
        return leaf if _is_for_clients(leaf) and self._signed(leaf) else None

    def _signed(self, leaf: x509.Certificate) -> bool:
        for authority in self._authorities:
            try:
                leaf.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            return True
        return False


def _is_for_clients(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or (
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
    )


def common_name(cert: x509.Certificate) -> str:
    found = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def organizations(cert: x509.Certificate) -> list[str]:
    return [str(a.value) for a in cert.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
