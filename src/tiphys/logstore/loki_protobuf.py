"""Loki's push in protobuf with snappy, as Promtail and Alloy send it, in the form of its JSON.

Snappy needs the package cramjam (extra `tiphys[loki]`), imported with the first such push.
Source: Grafana Loki pkg/push/push.proto; labels are written as Prometheus writes them.
"""

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from tiphys.lib.grpc.codec import CodecError, decode
from tiphys.lib.grpc.schema import Schema, parse
from tiphys.logstore.push import PushError

_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPES: Final[Mapping[str, str]] = {"n": "\n", "t": "\t"}


@functools.cache
def schema() -> Schema:
    text = resources.files("tiphys.logstore").joinpath("loki_protobuf.txt").read_text()
    return parse(text, "logproto")


def snappy_is_there() -> bool:
    try:
        import cramjam  # noqa: F401
    except ImportError:
        return False
    return True


def document_of(body: bytes, bytes_max: int) -> dict[str, Any]:
    """The push as its JSON would be. Raises PushError; ImportError without cramjam."""
    import cramjam

    if _length(body) > bytes_max:
        raise PushError(f"is larger than {bytes_max} bytes")
    try:
        plain = bytes(cramjam.snappy.decompress_raw(body))
        found = decode(schema(), "PushRequest", plain)
    except (cramjam.DecompressionError, CodecError) as exc:
        raise PushError(f"is no snappy with protobuf: {exc}") from exc
    return {"streams": [_stream(stream) for stream in found.get("streams", [])]}


def _length(body: bytes) -> int:
    """Of the bytes before they were compressed: what a block of snappy begins with."""
    length = 0
    for shift, byte in enumerate(body[:5]):
        length |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            break
    return length


def _stream(stream: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stream": labels_of(str(stream.get("labels", ""))),
        "values": [[_nanoseconds(e), e.get("line", "")] for e in stream.get("entries", [])],
    }


def _nanoseconds(entry: Mapping[str, Any]) -> str:
    moment = entry.get("timestamp") or {}
    return str(int(moment.get("seconds", 0)) * 10**9 + int(moment.get("nanos", 0)))


def labels_of(text: str) -> dict[str, str]:
    """`{app="x", pod="y"}`. Raises PushError."""
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        raise PushError(f"labels are not in braces: {text[:100]}")
    inner, found, at = inner[1:-1].strip(), {}, 0
    while at < len(inner):
        match = _LABEL.match(inner, at)
        if match is None:
            raise PushError(f"labels are not understood: {text[:100]}")
        found[match[1]] = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), match[2])
        at = match.end()
    return found
