"""Discovery: a cluster is trusted only when token and pin prove which it is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.throwaway_pki import Authority
from tiphys.api.bootstrap_token import signature
from tiphys.cli.output import CommandError
from tiphys.cluster import join_tokens
from tiphys.cluster.commands.join import server_of
from tiphys.cluster.discovery import DiscoveryError, NotSignedYet, check_pin, found_in

TOKEN = "abcdef.0123456789abcdef"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def cluster_info(ca: bytes, secret: str = "0123456789abcdef") -> dict[str, str]:
    entry = {
        "certificate-authority-data": base64.b64encode(ca).decode(),
        "server": "https://10.0.0.1:6443",
    }
    text = json.dumps({"clusters": [{"name": "", "cluster": entry}]})
    return {"kubeconfig": text, "jws-kubeconfig-abcdef": signature(text, "abcdef", secret)}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Authority(tmp_path_factory.mktemp("ca")).path.read_bytes()


def test_token_and_pin_prove_the_cluster(ca: bytes) -> None:
    found = found_in(cluster_info(ca), TOKEN, [join_tokens.pin_of(ca)])
    assert (found.server, found.ca_pem) == ("https://10.0.0.1:6443", ca)
    assert found_in(cluster_info(ca), TOKEN, []) == found


def test_another_authority_is_refused(ca: bytes) -> None:
    with pytest.raises(DiscoveryError, match="not the given one"):
        found_in(cluster_info(ca), TOKEN, ["sha256:" + "0" * 64])


def test_who_does_not_know_the_token_cannot_sign(ca: bytes) -> None:
    forged = cluster_info(ca, secret="ffffffffffffffff")
    with pytest.raises(DiscoveryError, match="not made with this token"):
        found_in(forged, TOKEN, [])
    changed = cluster_info(ca)
    changed["kubeconfig"] = changed["kubeconfig"].replace("10.0.0.1", "10.0.0.2")
    with pytest.raises(DiscoveryError, match="not made with this token"):
        found_in(changed, TOKEN, [])


def test_an_unknown_token_may_be_signed_with_later(ca: bytes) -> None:
    with pytest.raises(NotSignedYet):
        found_in(cluster_info(ca), "fedcba.0123456789abcdef", [])


@pytest.mark.parametrize(
    ("pin", "good"),
    [
        ("sha256:" + "aB" * 32, True),
        ("sha256:" + "a" * 63, False),
        ("sha256:" + "g" * 64, False),
        ("a" * 64, False),
        ("sha1:" + "a" * 40, False),
    ],
)
def test_the_form_of_a_pin(pin: str, *, good: bool) -> None:
    if good:
        assert check_pin(pin) == pin.lower()
    else:
        with pytest.raises(DiscoveryError):
            check_pin(pin)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("https://10.0.0.1:7443", "https://10.0.0.1:7443"),
        ("10.0.0.1:7443", "https://10.0.0.1:7443"),
        ("cluster.example", "https://cluster.example:6443"),
        ("http://10.0.0.1:6443", ""),
        ("10.0.0.1:port", ""),
    ],
)
def test_what_the_user_may_write_as_server(text: str, server: str) -> None:
    if server:
        assert server_of(text) == server
    else:
        with pytest.raises(CommandError):
            server_of(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("24h0m0s", 86400), ("1h30m", 5400), ("45s", 45), ("0", 0), ("0s", 0)],
)
def test_durations_are_gos(text: str, seconds: int) -> None:
    assert join_tokens.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1d", "24", "h", "-1h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        join_tokens.duration(text)


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ("", "<forever>"),
        ("2026-01-02T12:00:00Z", "24h"),
        ("2026-01-04T12:00:00Z", "3d"),
        ("2026-01-01T13:00:01Z", "1h"),
        ("2026-01-01T12:30:00Z", "30m"),
        ("2026-01-01T12:00:09Z", "9s"),
        ("2026-01-01T12:00:00Z", "<expired>"),
        ("soon", "<invalid>"),
    ],
)
def test_how_long_a_token_is_good(ends: str, left: str) -> None:
    assert join_tokens.left(ends, NOW) == left


def test_a_token_is_a_secret_and_reads_back() -> None:
    made = join_tokens.Token(TOKEN, NOW + timedelta(hours=2), description="for me")
    secret: Any = join_tokens.secret_of(made)
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert join_tokens.row(secret, NOW) == [
        TOKEN,
        "2h",
        "2026-01-01T14:00:00Z",
        "authentication,signing",
        "for me",
        "system:bootstrappers:kubeadm:default-node-token",
    ]


def test_the_pin_is_kubeadms(tmp_path: Path) -> None:
    """openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    authority = Authority(tmp_path)
    der = authority.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    expected = f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert join_tokens.pin_of(authority.path.read_bytes()) == expected
