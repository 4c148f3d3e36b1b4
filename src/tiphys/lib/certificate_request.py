"""Reading and making PKCS#10 requests for certificates (RFC 2986), PEM in and out."""

import base64
import binascii
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BLOCK: Final = re.compile(
    rb"-----BEGIN CERTIFICATE REQUEST-----\s*(.+?)\s*-----END CERTIFICATE REQUEST-----", re.DOTALL
)


def parse(pem: bytes) -> x509.CertificateSigningRequest:
    """The first request of a text. Raises ValueError with what is wrong with it."""
    found = _BLOCK.search(pem)
    if found is None:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    try:
        return x509.load_der_x509_csr(base64.b64decode(found[1]))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as exc:
        raise ValueError(f"the certificate request cannot be read: {exc}") from exc


def check_signature(request: x509.CertificateSigningRequest) -> None:
    """Whoever asks must hold the key. Raises ValueError."""
    try:
        good = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError) as exc:
        raise ValueError(f"the signature cannot be checked: {exc}") from exc
    if not good:
        raise ValueError("the signature is not that of the request's key")


def subject_of(request: x509.CertificateSigningRequest) -> tuple[str, list[str]]:
    """(common name, organizations)."""
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(names[-1].value) if names else "", [str(o.value) for o in organizations]


def alternatives_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    """The other names it asks for. Raises ValueError when they cannot be read."""
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make(
    key: ec.EllipticCurvePrivateKey,
    common_name: str,
    organizations: Sequence[str],
    names: Sequence[str] = (),
) -> bytes:
    """PEM. names: host names and addresses that the certificate shall serve."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names:
        alternatives = x509.SubjectAlternativeName([general_name(n) for n in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
