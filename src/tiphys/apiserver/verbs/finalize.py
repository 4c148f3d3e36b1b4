"""Namespace finalization: the namespace controller's last word, which removes a namespace.

Upstream: pkg/registry/core/namespace/storage/storage.go (FinalizeREST).
"""

from collections.abc import Sequence

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.resources.rules.texts import kube_finalizer
from tiphys.apiserver.responses import object_answer
from tiphys.apiserver.verbs.update import check_name, check_preconditions
from tiphys.apiserver.writes import guaranteed_update, raise_invalid
from tiphys.lib.http.message import Answer


async def update_finalize(ctx: RequestContext) -> Answer:
    """Raises NotFound, Conflict, Invalid."""
    new = read_object(ctx, ctx.endpoint.info.gvk)
    check_name(ctx, new)

    def change(old: Obj) -> Obj:
        check_preconditions(ctx, new, old)
        spec = {k: v for k, v in (new.get("spec") or {}).items() if k == "finalizers" and v}
        raise_invalid(ctx.endpoint, new, _errors(spec.get("finalizers") or ()))
        return old | {"spec": spec}

    cached = await guaranteed_update(ctx, ctx.endpoint, ctx.key, change)
    return object_answer(ctx, 200, cached)


def _errors(finalizers: Sequence[str]) -> list[FieldError]:
    return [
        error
        for index, name in enumerate(finalizers)
        for error in kube_finalizer(name, f"spec.finalizers[{index}]")
    ]
