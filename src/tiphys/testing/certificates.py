"""The keys of simulated clusters: made once per process, in a folder that goes with it.

Valid for a century around today, because a test's time may be any. EC P-256, as everywhere.
"""

import atexit
import functools
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.lib import tls

VALID_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
VALID_UNTIL: Final = datetime(2120, 1, 1, tzinfo=UTC)
SERVING_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default.svc")


@dataclass(frozen=True, slots=True)
class Keys:
    """PEM files in `directory`; `*_der` are the certificates that components show in memory."""

    directory: Path
    ca: Path
    server: tuple[Path, Path]
    admin: tuple[Path, Path]
    signing_key: Path
    admin_der: bytes
    controllers_der: bytes
    scheduler_der: bytes
    context: ssl.SSLContext


@functools.cache
def session_keys() -> Keys:
    """The keys of this process. Raises OSError where there is no room for temporary files."""
    directory = Path(tempfile.mkdtemp(prefix="tiphys-testing-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(key)
    ca = directory / "ca.crt"
    ca.write_bytes(_pem(authority))
    issue = functools.partial(_issue, directory, authority, key)
    server, _ = issue("server", "kube-apiserver", names=(*SERVING_NAMES, "127.0.0.1", "::1"))
    admin, admin_der = issue("admin", "kubernetes-admin", groups=("system:masters",))
    _, controllers_der = issue("controllers", "system:kube-controller-manager")
    _, scheduler_der = issue("scheduler", "system:kube-scheduler")
    signing_key = directory / "sa.key"
    signing_key.write_bytes(_key_pem(ec.generate_private_key(ec.SECP256R1())))
    context = tls.server_context(*server, [ca])
    return Keys(
        directory,
        ca,
        server,
        admin,
        signing_key,
        admin_der,
        controllers_der,
        scheduler_der,
        context,
    )


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tiphys-testing")])
    builder = _builder(subject, key.public_key()).issuer_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    return builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())


def _issue(
    directory: Path,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    stem: str,
    common_name: str,
    *,
    groups: Sequence[str] = (),
    names: Sequence[str] = (),
) -> tuple[tuple[Path, Path], bytes]:
    """Files of a server (where it has names) or a client, and its certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = _builder(x509.Name(subject), key.public_key()).issuer_name(authority.subject)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    certificate = builder.sign(authority_key, hashes.SHA256())
    files = directory / f"{stem}.crt", directory / f"{stem}.key"
    files[0].write_bytes(_pem(certificate))
    files[1].write_bytes(_key_pem(key))
    return files, certificate.public_bytes(serialization.Encoding.DER)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
