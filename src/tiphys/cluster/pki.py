"""Certificates and keys of a profile: one authority per purpose, EC P-256 throughout.

    ca.crt             signs what serves: API server, kubelets (published as kube-root-ca.crt)
    client-ca.crt      signs clients; the API server trusts it for names and groups
    front-proxy-ca.crt signs the aggregating proxy's client only
    etcd-ca.crt        signs etcd's members and their client, where there are masters
    sa.key             signs service account tokens (ES256)

Existing files are kept: certificates survive a restart. Source: kubeadm's certificate table.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tiphys.cluster.profile import Node, Profile, damaged

AUTHORITY_DAYS: Final = 3650  # As kubeadm.
LEAF_DAYS: Final = 365  # As kubeadm.
RENEW_BEFORE_DAYS: Final = 90
PROMETHEUS: Final = "prometheus"  # Who may read every page of metrics.
FRONT_PROXY: Final = "front-proxy-client"  # The API server, where it asks others' servers.
CONTROL_PLANE: Final = "control-plane-metrics"  # Controllers' and scheduler's pages of metrics.
_BACKDATE: Final = timedelta(minutes=5)  # Clocks of machines differ.


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate to have: file stem, subject, what for."""

    stem: str
    common_name: str
    organizations: Sequence[str] = ()
    names: Sequence[str] = ()  # host names and addresses it serves
    is_peer: bool = False  # serves and asks others of its kind


def leaves(profile: Profile) -> dict[str, list[Leaf]]:
    """Every certificate of a profile by its authority."""
    masters = [master.address for master in profile.masters]
    control_plane_names = ("localhost", "127.0.0.1", profile.gateway, *masters)
    serving = [
        Leaf(
            "apiserver",
            "kube-apiserver",
            names=(
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
                "localhost",
                "127.0.0.1",
                profile.kubernetes_service,
                profile.gateway,
                *masters,
            ),
        ),
        Leaf(CONTROL_PLANE, CONTROL_PLANE, names=control_plane_names),
    ]
    clients = [
        Leaf("admin", "kubernetes-admin", ("system:masters",)),
        Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        Leaf("controllers", "system:kube-controller-manager"),
        Leaf("scheduler", "system:kube-scheduler"),
        Leaf("proxy", "system:kube-proxy"),
        Leaf("dns", "system:serviceaccount:kube-system:coredns"),
        Leaf(PROMETHEUS, PROMETHEUS, ("system:monitoring",)),
        Leaf("metrics-server", "system:serviceaccount:kube-system:metrics-server"),
    ]
    if profile.ingress:
        clients.append(Leaf("ingress", "system:serviceaccount:ingress-nginx:ingress-nginx"))
    if profile.nodes:
        names = (
            "metrics-server.kube-system.svc",
            "tiphys-logs.kube-system.svc",
            "tiphys-logs.kube-system.svc.cluster.local",
            "localhost",
            profile.gateway,
        )
        serving.append(Leaf("metrics-server-serving", "metrics-server", names=names))
    for node in profile.nodes:
        serving.append(
            Leaf(
                f"kubelet-{node.name}-serving",
                f"system:node:{node.name}",
                ("system:nodes",),
                (node.name, node.address),
            )
        )
        clients.append(kubelet_client(node))
    found = {
        "ca": serving,
        "client-ca": clients,
        "front-proxy-ca": [Leaf(FRONT_PROXY, FRONT_PROXY)],
    }
    if profile.masters:
        members = [_etcd_member(node) for node in profile.masters]
        client = Leaf("apiserver-etcd-client", "kube-apiserver-etcd-client")
        found["etcd-ca"] = [*members, client]
    return found


def _etcd_member(node: Node) -> Leaf:
    names = (node.name, node.address, "localhost", "127.0.0.1")
    return Leaf(f"etcd-{node.name}", node.name, names=names, is_peer=True)


def kubelet_client(node: Node) -> Leaf:
    return Leaf(f"kubelet-{node.name}", f"system:node:{node.name}", ("system:nodes",))


def ensure(profile: Profile, now: datetime) -> None:
    """Make what is missing or about to expire. Raises ProfileError for what cannot be made anew."""
    profile.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    for stem, wanted in leaves(profile).items():
        authority = _authority(profile, stem, now)
        for leaf in wanted:
            if not _is_good(profile.pki, leaf, authority, now):
                _write_leaf(profile.pki, leaf, authority, now)
    _ensure_account_key(profile)


def _ensure_account_key(profile: Profile) -> None:
    """The key that signs the tokens of ServiceAccounts. Raises ProfileError."""
    public = profile.pki / "sa.pub"
    if not (profile.pki / "sa.key").exists() and not public.exists():
        _write(profile.pki / "sa.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    wanted = (
        _load_key(profile, "sa.key")  # Now: the API server would end again and again.
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if not public.exists() or public.read_bytes() != wanted:
        _write(public, wanted)


def _load_key(profile: Profile, name: str) -> ec.EllipticCurvePrivateKey:
    """Raises ProfileError: what was signed with it is out there, and a new one would not do."""
    path = profile.pki / name
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("it is not a key of elliptic curves")
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise damaged(profile.name, path, exc) from exc
    return loaded


def _load_authority(profile: Profile, stem: str) -> Authority:
    """Raises ProfileError: who trusts it would not trust a new one."""
    path = profile.pki / f"{stem}.crt"
    key = _load_key(profile, f"{stem}.key")
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.public_key() != key.public_key():
            raise ValueError(f"it is not of the key in {stem}.key")
    except (OSError, ValueError) as exc:
        raise damaged(profile.name, path, exc) from exc
    return Authority(certificate, key)


def _authority(profile: Profile, stem: str, now: datetime) -> Authority:
    directory, name = profile.pki, f"tiphys-{profile.name}-{stem}"
    certificate_path, key_path = directory / f"{stem}.crt", directory / f"{stem}.key"
    if certificate_path.exists():
        return _load_authority(profile, stem)
    # A key without its certificate: a start ended there, or somebody took it. Who trusts the old
    # certificate trusts what the same key signs.
    if key_path.exists():
        key = _load_key(profile, f"{stem}.key")
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(subject, subject, key, now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_path, _pem(key))
    _write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(certificate, key)


def _write_leaf(directory: Path, leaf: Leaf, authority: Authority, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in leaf.organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name))
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH if leaf.names else ExtendedKeyUsageOID.CLIENT_AUTH]
    if leaf.is_peer:
        purposes.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority.key.public_key()
    )
    builder = (
        _builder(x509.Name(attributes), authority.certificate.subject, key, now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(issuer_identifier, critical=False)
    )
    if leaf.names:
        alternatives = x509.SubjectAlternativeName([_general_name(n) for n in leaf.names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    _write(directory / f"{leaf.stem}.key", _pem(key))
    _write(directory / f"{leaf.stem}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def _is_good(directory: Path, leaf: Leaf, authority: Authority, now: datetime) -> bool:
    path = directory / f"{leaf.stem}.crt"
    if not path.exists() or not (directory / f"{leaf.stem}.key").exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        return False  # Cut off by a power cut.
    if certificate.not_valid_after_utc - now < timedelta(days=RENEW_BEFORE_DAYS):
        return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        key = serialization.load_pem_private_key(
            (directory / f"{leaf.stem}.key").read_bytes(), None
        )
    except (ValueError, TypeError, InvalidSignature):
        return False
    if key.public_key() != certificate.public_key():
        return False  # One of the two was replaced, the other was not any more.
    return not leaf.names or set(_served(certificate)) >= set(leaf.names)


def _served(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(n.value) for n in found]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> None:
    """Atomic, readable by the owner only."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
