"""A bearer token among the subprotocols of a WebSocket: browsers can set no other header.

Upstream: apiserver pkg/authentication/request/websocket/protocol.go.
"""

import base64
import binascii
from typing import Final

from tiphys.api.errors import Unauthorized
from tiphys.lib.http.message import Request

HEADER: Final = "sec-websocket-protocol"
PREFIX: Final = "base64url.bearer.authorization.k8s.io."


def token_of(request: Request) -> str:
    """The token, "" for none. Whoever serves the request finds the other subprotocols only.

    Raises Unauthorized for one that cannot be read, for two, and for one that is alone.
    """
    offered = [one.strip() for one in request.headers[HEADER].split(",")]
    tokens = [one.removeprefix(PREFIX) for one in offered if one.startswith(PREFIX)]
    others = [one for one in offered if not one.startswith(PREFIX)]
    if not tokens or request.headers.get("upgrade", "").lower() != "websocket":
        return ""
    token = _decoded(tokens[0])
    if len(tokens) > 1 or not others:
        raise Unauthorized
    request.headers[HEADER] = ", ".join(others)
    return token


def _decoded(text: str) -> str:
    """Base64 for URLs, without padding."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return raw.decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized from None
