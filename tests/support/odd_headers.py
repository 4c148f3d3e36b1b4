"""Headers of requests that no client should send; names are lower case, as the server sees them."""

import random
from typing import Final

from support.odd_values import a_word

_PROTOBUF: Final = "application/vnd.kubernetes.protobuf"


def odd_headers(rng: random.Random) -> dict[str, str]:
    made: dict[str, str] = {}
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice(list(_HEADERS))
        values = _HEADERS[name]
        value = rng.choice(values) if rng.random() < 0.8 else a_word(rng)
        # What the parser lets through: latin-1 without line ends.
        made[name] = value.encode("latin-1", "replace").decode("latin-1").translate(_LINE_ENDS)
    return made


_LINE_ENDS: Final = dict.fromkeys(map(ord, "\r\n\0"))
_TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1"
_HEADERS: Final = {
    "accept": (
        "*/*", "text/html", _TABLE, f"{_TABLE}beta9", "application/json;as=X", ";;;", ",",
        "a/b;q=x",
        "application/json;q=9e999", "application/json;q=nan,application/yaml;q=nan",
        "application/*",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", _PROTOBUF,
        "application/yaml", '"',
        "," * 3000,
        "application/json;stream=watch",
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
        "application/yaml;as=Table;v=v1;g=meta.k8s.io",
    ),
    "content-type": ("", "application/json; charset=x", "application/cbor", "text/plain", ";",
    "application/json;;"),
    "accept-encoding": ("gzip", "gzip;q=0", "br", "*", "gzip;q=x"),
    "user-agent": ("", "curl/7", "Mozilla/5", "x" * 3000, "é", "/", "a\tb"),
    "impersonate-user": ("", "u", "system:admin", "system:node:n", "system:serviceaccount:a", "é"),
    "impersonate-group": ("", "g", "system:masters", "a, b"),
    "impersonate-uid": ("1", ""),
    "impersonate-extra-a": ("1", ""),
    "impersonate-extra-%zz": ("1",),
    "authorization": ("Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer " + "x" * 5000,
    "Basic x",
                      "Bearer eyJhbGciOiJub25lIn0.e30.", "bearer abcdef.0123456789abcdef",
                      "Bearer é"),
    "if-none-match": ("*", "x", '"', 'W/"x"'),
    "audit-id": ("x", "x" * 3000, "é", "\t"),
    "x-remote-user": ("admin",),
    "origin": ("http://x",),
    "range": ("bytes=0-1",),
    "connection": ("upgrade", "close"),
    "upgrade": ("websocket", "SPDY/3.1", "h2c"),
    "sec-websocket-key": ("x",),
    "sec-websocket-protocol": ("base64.binary.k8s.io", "v5.channel.k8s.io", "x" * 300),
    "x-stream-protocol-version": ("v4.channel.k8s.io", "x"),
    "content-encoding": ("gzip", "x"),
}  # fmt: skip
