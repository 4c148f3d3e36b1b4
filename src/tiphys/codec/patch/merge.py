"""JSON merge patch (RFC 7386): null deletes, objects merge, everything else replaces."""

from typing import Any

from tiphys.api.meta import Obj
from tiphys.codec.patch import PatchError
from tiphys.codec.typed import json_kind


def apply(document: Obj, patch: Any) -> Obj:
    """A new document. Raises PatchError (400) where the patch is no object."""
    if not isinstance(patch, dict):
        text = f"json: cannot unmarshal {json_kind(patch)} into Go value of type"
        raise PatchError(f"error decoding patch: {text} map[string]interface {{}}", 400)
    return _merged(document, patch)


def _merged(document: Any, patch: Obj) -> Obj:
    found = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            found[key] = _merged(found.get(key), value)
        else:
            found[key] = value
    return found
