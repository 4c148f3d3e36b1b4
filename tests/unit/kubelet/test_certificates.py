"""When a kubelet renews its certificates, and how they lie on disk."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from support.throwaway_pki import Authority
from tiphys.kubelet import certificate_store as store
from tiphys.kubelet.certificate_request import (
    CLIENT_SIGNER,
    SERVING_SIGNER,
    CertificateRefused,
    Wanted,
    check,
)
from tiphys.kubelet.certificate_rotation import deadline, seconds_left

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(hours=10)


@pytest.mark.parametrize(("chance", "hours"), [(0.0, 7.0), (0.5, 8.0), (1.0, 9.0)])
def test_a_certificate_is_renewed_at_70_to_90_percent(chance: float, hours: float) -> None:
    """Upstream: jitteryDuration, "between 70%-90% of the total duration"."""
    assert deadline(START, END, chance) == START + timedelta(hours=hours)


def test_what_is_missing_or_late_is_due_now(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, _ = authority.issue("me")
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    assert seconds_left(None, START, 0.5) == 0.0
    late = found.not_valid_after_utc
    assert seconds_left(found, late, 1.0) == 0.0
    assert seconds_left(found, found.not_valid_before_utc, 0.0) > 0.0


def pair(authority: Authority, name: str) -> bytes:
    cert, key = authority.issue(name)
    return cert.read_bytes() + key.read_bytes()


def test_a_new_certificate_replaces_the_one_before(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    directory = tmp_path / "pki"
    assert store.load(directory, store.CLIENT) is None
    store.save(directory, store.CLIENT, pair(authority, "one"), START)
    store.save(directory, store.CLIENT, pair(authority, "two"), START + timedelta(seconds=1))
    found = store.load(directory, store.CLIENT)
    assert found is not None
    assert found.subject.rfc4514_string() == "CN=two"
    names = sorted(p.name for p in directory.iterdir())
    assert names == ["kubelet-client-2026-01-01-00-00-01.pem", "kubelet-client-current.pem"]
    assert store.current(directory, store.CLIENT).stat().st_mode & 0o777 == 0o600


def test_half_a_file_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "kubelet-client-current.pem").write_bytes(b"-----BEGIN CERT")
    assert store.load(tmp_path, store.CLIENT) is None


def test_what_is_asked_for() -> None:
    serving = Wanted(SERVING_SIGNER, "n", ("n", "10.0.0.1"))
    assert (serving.user, serving.usages) == (
        "system:node:n",
        ["digital signature", "server auth"],
    )
    assert Wanted(CLIENT_SIGNER, "n").usages == ["digital signature", "client auth"]


@pytest.mark.parametrize("kind", ["Denied", "Failed"])
def test_a_refusal_is_told(kind: str) -> None:
    conditions = [{"type": kind, "status": "True", "message": "because"}]
    request = {"metadata": {"name": "csr-1"}, "status": {"conditions": conditions}}
    with pytest.raises(CertificateRefused, match=f"csr-1 was {kind.lower()}: because"):
        check(request)
    check({"metadata": {"name": "csr-1"}, "status": {"conditions": [{"type": "Approved"}]}})
