"""The TLS handshake before the fork: it ends, and damaged certificates do not stop a start."""

import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiphys.cluster import pki, preload
from tiphys.lib.tls import client_context, server_context
from tiphys.lib.tls_rehearsal import rehearse
from unit.cluster.test_profile import a_profile


def test_the_handshake_ends_with_a_profiles_certificates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, datetime.now(UTC))
    server = server_context(profile.pki / "apiserver.crt", profile.pki / "apiserver.key")
    assert rehearse(server, client_context(profile.pki / "ca.crt"), "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        rehearse(server, client_context(profile.pki / "client-ca.crt"), "127.0.0.1")
    with caplog.at_level(logging.WARNING):
        preload.rehearse_tls(profile.pki)
    assert caplog.records == []


def test_damaged_certificates_are_told_and_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = a_profile(tmp_path)
    pki.ensure(profile, datetime.now(UTC))
    (profile.pki / "apiserver.crt").write_text("not a certificate")
    preload.rehearse_tls(profile.pki)
    preload.rehearse_tls(tmp_path / "nowhere")
    assert [r.message for r in caplog.records] == ["no TLS handshake with these certificates"] * 2
