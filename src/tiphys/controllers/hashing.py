"""Names from templates: a stable hash written in letters that form no words.

Upstream: pkg/controller/controller_utils.go ComputeHash, apimachinery util/rand SafeEncodeString.
Differs: upstream hashes Go's dump of the struct; ours hashes the canonical JSON, so that equal
templates give equal names within a cluster, which is all that is promised.
"""

from typing import Final

import orjson

from tiphys.api.meta import Obj

LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


def fnv32a(data: bytes, value: int = _FNV_OFFSET) -> int:
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def template_hash(template: Obj, collision_count: int = 0) -> str:
    """The pod-template-hash of a template."""
    value = fnv32a(orjson.dumps(template, option=orjson.OPT_SORT_KEYS))
    if collision_count:
        value = fnv32a(collision_count.to_bytes(8, "little"), value)
    return safe_encode(str(value))


def safe_encode(text: str) -> str:
    return "".join(LETTERS[ord(c) % len(LETTERS)] for c in text)
