"""Namespace finalization: the namespace controller's last word, which removes a namespace.

Upstream: pkg/registry/core/namespace/storage/storage.go (FinalizeREST).
"""

from tiphys.api.meta import Obj
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.responses import object_answer
from tiphys.apiserver.verbs.update import check_name, check_preconditions
from tiphys.apiserver.writes import guaranteed_update
from tiphys.lib.http.message import Answer


async def update_finalize(ctx: RequestContext) -> Answer:
    """Raises NotFound, Conflict."""
    new = read_object(ctx, ctx.endpoint.info.gvk)
    check_name(ctx, new)

    def change(old: Obj) -> Obj:
        check_preconditions(ctx, new, old)
        spec = {k: v for k, v in (new.get("spec") or {}).items() if k == "finalizers" and v}
        return old | {"spec": spec}

    cached = await guaranteed_update(ctx, ctx.endpoint, ctx.key, change)
    return object_answer(ctx, 200, cached)
