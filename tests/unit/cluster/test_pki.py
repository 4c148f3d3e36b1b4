"""One authority per purpose; certificates are kept, and renewed before they run out."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from tiphys.client import kubeconfig
from tiphys.cluster import access, pki
from unit.cluster.test_profile import a_profile

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_each_certificate_is_signed_by_its_own_authority(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, NOW)
    for stem, wanted in pki.leaves(profile).items():
        authority = _load(profile.pki / f"{stem}.crt")
        for leaf in wanted:
            _load(profile.pki / f"{leaf.stem}.crt").verify_directly_issued_by(authority)
    subjects = {_load(profile.pki / f"{s}.crt").subject for s in pki.leaves(profile)}
    assert len(subjects) == 3
    assert all(p.stat().st_mode & 0o077 == 0 for p in profile.pki.iterdir())


def test_certificates_are_kept_and_renewed_in_time(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, NOW)
    before = {p.name: p.read_bytes() for p in profile.pki.iterdir()}
    pki.ensure(profile, NOW + timedelta(days=30))
    assert {p.name: p.read_bytes() for p in profile.pki.iterdir()} == before
    pki.ensure(profile, NOW + timedelta(days=300))
    after = {p.name: p.read_bytes() for p in profile.pki.iterdir()}
    assert after["apiserver.crt"] != before["apiserver.crt"]
    assert after["ca.crt"] == before["ca.crt"]


def test_the_server_serves_every_name_that_clients_use(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, NOW)
    names = _load(profile.pki / "apiserver.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    served = {str(n.value) for n in names.value}
    assert {"kubernetes.default.svc", "127.0.0.1", "10.96.0.1", "192.168.49.1"} <= served


def test_kubeconfigs_load(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, NOW)
    access.write_all(profile)
    found = kubeconfig.load(access.path_for(profile, "kubelet", profile.nodes[0]))
    assert found.server == "https://192.168.49.1:6443"
    assert isinstance(found.tls(), ssl.SSLContext)
    assert access.path_for(profile, "admin").stat().st_mode & 0o077 == 0
