"""Keys of JSON pointers. Upstream: apiserver/pkg/cel/library/jsonpatch.go; RFC 6901."""

from typing import Final

from tiphys.cel.declarations import Library

_TABLE: Final = "jsonpatch.escapeKey  string_jsonpatch_escapeKey_string  (string) -> string"


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


LIBRARY: Final = Library(_TABLE, {"string_jsonpatch_escapeKey_string": _escaped})
