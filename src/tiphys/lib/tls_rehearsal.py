"""One TLS handshake in memory, before components are forked.

OpenSSL loads its algorithms, decoders and curves with the first certificate and the first
handshake. Done once in the parent, the pages are shared by every component.
"""

import ssl
from typing import Final

ROUNDS_MAX: Final = 8  # A handshake of TLS 1.3 needs three.


def rehearse(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> bool:
    """True when the handshake came to its end. Raises ssl.SSLError when the sides do not agree."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=host),
    ]
    for _ in range(ROUNDS_MAX):
        ended = [_advanced(side) for side in sides]  # Each in turn, ended or not.
        if all(ended):
            return True
    return False


def _advanced(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
