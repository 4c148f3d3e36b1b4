"""Which authority a leaf belongs to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from support.throwaway_pki import Authority
from tiphys.lib.tls import LeafVerifier, common_name, organizations


def der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("authority_name", "server", "days_later", "known"),
    [
        pytest.param("a", False, 0, True, id="its-own"),
        pytest.param("b", False, 0, False, id="of-another-with-the-same-name"),
        pytest.param("a", True, 0, False, id="for-servers-only"),
        pytest.param("a", False, 2, False, id="expired"),
    ],
)
def test_verify(
    tmp_path: Path, *, authority_name: str, server: bool, days_later: int, known: bool
) -> None:
    authorities = {name: Authority(tmp_path / name, "ca") for name in "ab"}
    leaf, _ = authorities[authority_name].issue(
        "leaf", common_name="me", groups=("g1", "g2"), server=server
    )
    verifier = LeafVerifier.from_file(authorities["a"].path)
    now = datetime.now(UTC) + timedelta(days=days_later)
    for _ in range(2):  # The second answer comes from memory.
        got = verifier.verify(der(leaf), now)
        assert (got is not None) == known
    if got is not None:
        assert (common_name(got), organizations(got)) == ("me", ["g1", "g2"])
