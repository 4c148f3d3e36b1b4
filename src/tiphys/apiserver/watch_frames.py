"""What one event of a watch is on the wire: a line, a counted piece, a message of a WebSocket.

Upstream: endpoints/handlers/watch.go (HandleHTTP, HandleWS), serializer/protobuf (framer).
"""

from collections.abc import Callable
from typing import TypeAlias

from tiphys.apiserver.negotiation import PROTOBUF
from tiphys.codec import protobuf
from tiphys.lib.http.message import Request
from tiphys.storage.watch_cache import encode_event

Frame: TypeAlias = Callable[[str, bytes], bytes]
"""(type of the event, its object's bytes) -> bytes."""


def is_websocket(request: Request) -> bool:
    return request.wants_upgrade and request.headers["upgrade"].lower() == "websocket"


def frame_of(media_type: str, *, as_messages: bool) -> Frame:
    if as_messages:
        from tiphys.apiserver.watch_socket import binary_message, text_message

        return binary_message if media_type == PROTOBUF else text_message
    return protobuf.encode_watch_frame if media_type == PROTOBUF else encode_event
