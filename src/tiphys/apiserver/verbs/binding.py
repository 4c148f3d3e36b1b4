"""Binding: the scheduler's write, which gives a pod its node.

Upstream: pkg/registry/core/pod/storage/storage.go (BindingREST.assignPod).
"""

from typing import Final

from tiphys.api.errors import BadRequest, Conflict, InternalError, conflict, failed_precondition
from tiphys.api.field_errors import FieldError, required
from tiphys.api.meta import GroupVersionKind, Obj, at, rfc3339
from tiphys.apiserver.bodies import read_object
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.negotiation import NO_TABLES
from tiphys.apiserver.pod_conditions import with_condition
from tiphys.apiserver.resources.rules.texts import unsupported
from tiphys.apiserver.responses import document_answer
from tiphys.apiserver.verbs.options import check_write_options
from tiphys.apiserver.writes import admit, guaranteed_update
from tiphys.lib.http.message import Answer

KIND: Final = GroupVersionKind("", "v1", "Binding")
SUCCESS: Final[Obj] = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "code": 201,
}


async def create_binding(ctx: RequestContext) -> Answer:
    """`pods/NAME/binding`, and `bindings`, whose body names the pod."""
    media = ctx.media(views=NO_TABLES)  # For `bindings` as well.
    check_write_options(ctx, "CreateOptions")
    binding = read_object(ctx, KIND)
    name = ctx.name or binding["metadata"].get("name", "")
    if name != binding["metadata"].get("name", ""):
        raise BadRequest("name in URL does not match name in Binding object")
    errors = _validate(binding)
    if errors:  # Upstream names no object here, which makes it the server's fault.
        texts = [str(error) for error in errors]
        text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        raise InternalError(text, code=500, reason="")
    if not name:
        raise BadRequest("Name parameter required.")
    admit(ctx, "CREATE", binding)
    pods = ctx.server.endpoint_of("", "pods")
    await bind(ctx, pods, name, binding)
    return document_answer(ctx, 201, SUCCESS, media)


def _validate(binding: Obj) -> list[FieldError]:
    target = binding.get("target") or {}
    errors: list[FieldError] = []
    if target.get("kind", "") not in {"", "Node"}:
        errors.append(unsupported("target.kind", target.get("kind"), ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors


async def bind(ctx: RequestContext, pods: Endpoint, name: str, binding: Obj) -> None:
    """Raises NotFound, Conflict."""
    uid = binding["metadata"].get("uid", "")
    revision = binding["metadata"].get("resourceVersion", "")
    node, where = binding["target"]["name"], f"{ctx.namespace}/{name}"
    now = rfc3339(ctx.server.clock.now())

    def change(pod: Obj) -> Obj:
        metadata = dict(pod["metadata"])
        for given, field, word in (
            (uid, "uid", "UID"),
            (revision, "resourceVersion", "ResourceVersion"),
        ):
            if given and given != metadata[field]:
                what = f"{word} in precondition: {given}, {word} in object meta: {metadata[field]}"
                raise conflict("", "pods", name, failed_precondition(f"/pods/{where}", what))
        if metadata.get("deletionTimestamp"):
            raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
        present = at(pod, "spec", "nodeName", default="")
        if present:
            raise _conflict(name, f'pod {name} is already assigned to node "{present}"')
        if at(pod, "spec", "schedulingGates"):
            raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
        for field in ("annotations", "labels"):
            more = binding["metadata"].get(field)
            if more:
                metadata[field] = dict(metadata.get(field) or {}) | more
        status = with_condition(pod, {"type": "PodScheduled", "status": "True"}, now)
        status.pop("nominatedNodeName", None)
        spec = pod["spec"] | {"nodeName": node}
        return pod | {"metadata": metadata, "spec": spec, "status": status}

    await guaranteed_update(ctx, pods, pods.key(ctx.namespace, name), change)


def _conflict(name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on pods/binding "{name}": {why}',
        details={"name": name, "kind": "pods/binding"},
    )
