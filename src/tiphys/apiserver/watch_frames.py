"""What one event of a watch is on the wire: a line, a counted piece, a message of a WebSocket.

A server's messages carry no mask, so that all watchers can be sent the same bytes.
Upstream: endpoints/handlers/watch.go (HandleHTTP, HandleWS), serializer/protobuf (framer).
"""

from collections.abc import Callable
from typing import TypeAlias

from tiphys.apiserver.negotiation import PROTOBUF
from tiphys.codec import protobuf
from tiphys.lib.http.websocket import BINARY, TEXT, encode_frame
from tiphys.storage.watch_cache import encode_event

Frame: TypeAlias = Callable[[str, bytes], bytes]
"""(type of the event, its object's bytes) -> bytes."""


def frame_of(media_type: str, *, as_messages: bool) -> Frame:
    if media_type == PROTOBUF:
        return _binary_message if as_messages else protobuf.encode_watch_frame
    return _text_message if as_messages else encode_event


def _binary_message(kind: str, obj: bytes) -> bytes:
    return encode_frame(BINARY, protobuf.encode_watch_event(kind, obj))


def _text_message(kind: str, obj: bytes) -> bytes:
    return encode_frame(TEXT, encode_event(kind, obj))
