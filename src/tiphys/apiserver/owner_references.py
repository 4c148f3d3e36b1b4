"""Owners that an object names twice: kept once, and the writer is told.

Upstream: apiserver pkg/endpoints/handlers/rest.go (dedupOwnerReferencesAndAddWarning).
"""

import orjson

from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext


def keep_owners_once(ctx: RequestContext, obj: Obj, *, is_patched: bool = False) -> None:
    """`is_patched`: upstream looks at what a patch made behind admission, and says so."""
    owners = obj["metadata"].get("ownerReferences") or []
    if len(owners) < 2:
        return
    kept: dict[bytes, Obj] = {}  # There may be many thousands: no validation was before.
    again: list[str] = []
    for owner in owners:
        key = orjson.dumps(owner, option=orjson.OPT_SORT_KEYS)
        if key in kept:
            again.append(owner.get("uid", ""))
        else:
            kept[key] = owner
    if not again:
        return
    obj["metadata"]["ownerReferences"] = list(kept.values())
    when = " after mutating admission happens" if is_patched else ""
    ctx.warnings.append(
        f".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner "
        "references in 1.20+, and may reject such requests as early as 1.24; please fix your "
        f"requests; duplicate UID(s) observed: {', '.join(again)}"
    )
