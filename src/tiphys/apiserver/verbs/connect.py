"""exec, attach, portforward and log: passed on to the kubelet of the pod's node.

Upstream: pkg/registry/core/pod/rest/{subresources,log}.go, pkg/registry/core/pod/strategy.go.
"""

from typing import Final, cast
from urllib.parse import quote, urlencode

from tiphys.api.errors import BadRequest
from tiphys.api.field_errors import FieldError, forbidden, invalid, invalid_object
from tiphys.api.meta import Obj, at
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.filters.authorization import attributes_of
from tiphys.apiserver.filters.authorization import forbidden as not_allowed
from tiphys.apiserver.kubelet_target import kubelet_target
from tiphys.apiserver.list_options import query_bool, query_int
from tiphys.apiserver.responses import CACHE_CONTROL
from tiphys.apiserver.tunnel import pass_on
from tiphys.apiserver.verbs.get import stored
from tiphys.codec import go_time
from tiphys.lib.http.flow import BodyWriter
from tiphys.lib.http.message import Answer, Response, StreamResponse

# Query names of PodExecOptions -> the kubelet's.
_STREAMS: Final = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_LOG_OPTIONS: Final = (
    *("follow", "previous", "timestamps", "tailLines", "limitBytes", "sinceSeconds"),
    *("sinceTime", "stream"),
)
ERROR_BYTES_MAX: Final = 2048  # response_checker.go maxReadBytes: 50 KiB; texts have 100 bytes.
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


async def connect_exec(ctx: RequestContext) -> Answer:
    """Raises NotFound, BadRequest, Forbidden."""
    return await _stream(ctx, "exec", commands=True)


async def connect_attach(ctx: RequestContext) -> Answer:
    return await _stream(ctx, "attach", commands=False)


async def _stream(ctx: RequestContext, verb: str, *, commands: bool) -> Answer:
    pod = ctx.endpoint.decode(stored(ctx))
    _check_may_create(ctx)
    container = container_name(ctx, pod)
    node = _node_of(pod)
    query = [(theirs, "1") for ours, theirs in _STREAMS.items() if query_bool(ctx.params, ours)]
    if commands:
        query += [("command", word) for word in ctx.params.get("command", [])]
    path = f"/{verb}/{_path(ctx)}/{quote(container, safe='')}?{urlencode(query)}"
    return await checked(await pass_on(ctx.request, kubelet_target(ctx, node, path)))


async def connect_port_forward(ctx: RequestContext) -> Answer:
    pod = ctx.endpoint.decode(stored(ctx))
    _check_may_create(ctx)
    node = _node_of(pod)
    query = urlencode([("port", port) for port in ctx.params.get("ports", [])])
    path = f"/portForward/{_path(ctx)}" + (f"?{query}" if query else "")
    return await checked(await pass_on(ctx.request, kubelet_target(ctx, node, path)))


async def get_log(ctx: RequestContext) -> Answer:
    """Raises NotFound, BadRequest, Invalid."""
    _check_log_options(ctx)
    pod = ctx.endpoint.decode(stored(ctx))
    container = container_name(ctx, pod)
    node = at(pod, "spec", "nodeName")
    if not node:
        return Response(204, b"", (CACHE_CONTROL,))
    query = [(name, ctx.params[name][0]) for name in _LOG_OPTIONS if ctx.params.get(name)]
    text = urlencode(query)
    path = f"/containerLogs/{_path(ctx)}/{quote(container, safe='')}"
    target = kubelet_target(ctx, node, f"{path}?{text}" if text else path)
    return await checked(await pass_on(ctx.request, target))


async def checked(answer: Answer) -> Answer:
    """A kubelet's refusal becomes the API's own error.

    Raises BadRequest. Upstream: registry/generic/rest response_checker.go.
    """
    if not isinstance(answer, StreamResponse) or answer.status != 400:
        return answer
    collected = _Collected()
    await answer.write_body(cast(BodyWriter, collected))
    raise BadRequest(collected.data.decode(errors="replace").strip())


class _Collected:
    """A BodyWriter that keeps the start of a body: errors are short."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False

    def abort(self) -> None:
        self.closed = True

    def write(self, data: bytes) -> None:
        self.data += data[: ERROR_BYTES_MAX - len(self.data)]

    async def drain(self) -> None:
        """There is always room."""


def _path(ctx: RequestContext) -> str:
    return f"{quote(ctx.namespace, safe='')}/{quote(ctx.name, safe='')}"


def _check_may_create(ctx: RequestContext) -> None:
    """A WebSocket is a GET; it still needs the right to create. KEP-4006."""
    if ctx.request.method != "GET":
        return
    asked = attributes_of(ctx.info)._replace(verb="create")
    decision = ctx.server.authorizer.decide(ctx.user, asked)
    if not decision.allowed:
        raise not_allowed(ctx.user, asked, decision.reason)


def _node_of(pod: Obj) -> str:
    node = at(pod, "spec", "nodeName", default="")
    if not node:
        raise BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    return str(node)


def container_name(ctx: RequestContext, pod: Obj) -> str:
    """The container asked for, or the only one. Raises BadRequest."""
    spec, name = pod["spec"], ctx.name
    names = [c["name"] for c in spec.get("containers") or ()]
    others = [
        c["name"]
        for field in ("initContainers", "ephemeralContainers")
        for c in spec.get(field) or ()
    ]
    asked = ctx.param("container")
    if asked:
        if asked not in names and asked not in others:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names) == 1:
        return str(names[0])
    chosen = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if chosen in names:
        return str(chosen)
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
    init = [c["name"] for c in spec.get("initContainers") or ()]
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(text)


_ANY_TIME: Final = "2006-01-02T15:04:05Z"


def _check_log_options(ctx: RequestContext) -> None:
    """Upstream ValidatePodLogOptions."""
    errors: list[FieldError] = []
    tail = query_int(ctx.params, "tailLines")
    if tail is not None and tail < 0:
        errors.append(invalid("tailLines", tail, "must be greater than or equal to 0"))
    for name in ("limitBytes", "sinceSeconds"):
        value = query_int(ctx.params, name)
        if value is not None and value < 1:
            errors.append(invalid(name, value, "must be greater than 0"))
    try:
        go_time.normal_time(ctx.param("sinceTime") or _ANY_TIME)
    except go_time.TimeError as error:
        raise BadRequest(str(error)) from None
    if ctx.param("sinceSeconds") and ctx.param("sinceTime"):
        text = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        errors.append(forbidden("[]", text))
    if ctx.param("stream"):
        errors.append(forbidden("stream", "may not be specified"))
    if errors:
        raise invalid_object("", "PodLogOptions", ctx.name, errors)
