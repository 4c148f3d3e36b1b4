"""The shape in which grpclib gets our table: a codec whose message types are message names."""

from typing import Any

from grpclib.encoding.base import CodecBase

from tiphys.lib.grpc import codec
from tiphys.lib.grpc.schema import Schema


class TableCodec(CodecBase):
    """Encodes and decodes dicts; the `message_type` of grpclib is a name of the table."""

    __content_subtype__ = "proto"

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def encode(self, message: Any, message_type: Any) -> bytes:
        return codec.encode(self._schema, message_type, message)

    def decode(self, data: bytes, message_type: Any) -> dict[str, Any]:
        return codec.decode(self._schema, message_type, data)
