"""What components would each do for themselves after the fork: once, and shared, instead.

No import here starts a thread, opens a socket or reads a secret.
"""

import encodings.idna  # noqa: F401 - asyncio resolves host names with it
import logging
import ssl
from pathlib import Path
from typing import Final

import uvloop  # noqa: F401
from cryptography.hazmat.backends.openssl import backend  # noqa: F401

import tiphys.lib.http.http2
import tiphys.lib.http.http2_client  # noqa: F401
from tiphys.lib.tls import client_context, server_context
from tiphys.lib.tls_rehearsal import rehearse
from tiphys.lib.tls_trust import prepare_for

log = logging.getLogger(__name__)

CONTEXTS: Final = 2  # Most components are client of one server; few have two identities.


def rehearse_tls(pki: Path) -> None:
    """Go through one handshake as components will, with the profile's certificates."""
    try:
        server = server_context(
            pki / "apiserver.crt", pki / "apiserver.key", [pki / "client-ca.crt"]
        )
        client = client_context(
            pki / "ca.crt",
            pki / "apiserver-kubelet-client.crt",
            pki / "apiserver-kubelet-client.key",
        )
        done = rehearse(server, client, "127.0.0.1")
    except (OSError, ssl.SSLError) as error:
        log.warning("no TLS handshake with these certificates", extra={"why": str(error)})
        return
    if not done:
        log.warning("a TLS handshake in memory did not end")
    prepare_for((pki / "ca.crt").read_bytes(), CONTEXTS)
