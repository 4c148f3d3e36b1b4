"""Takes lines from others over TLS: Loki's push API for any agent, and the nodes that have joined.

Who may push is the API server's to say: `post` on the path of Loki's push API. A node is known by
its certificate and may send lines of its own pods only; they are stored under its name.
"""

import gzip
import logging
import sqlite3
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import GroupVersionResource, at, uid_of
from tiphys.client.delegated_access import Gate, User
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.lib.http.message import Answer, Request, Response, text_response
from tiphys.lib.http.server import HttpServer, Limits
from tiphys.lib.tls import server_context
from tiphys.logstore import push
from tiphys.logstore.index import PODS as POD_LINES
from tiphys.logstore.index import Position
from tiphys.logstore.outputs.loki import PUSH_PATH
from tiphys.logstore.outputs.node import NODE_PATH
from tiphys.logstore.store import Batch, LogStore

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 8 << 20  # Loki's server.grpc_server_max_recv_msg_size is 4 MB.
NODES_GROUP: Final = "system:nodes"
NODE_USER: Final = "system:node:"
KNOWN_MAX: Final = 4096
PROTOBUF: Final = "application/x-protobuf"
_PODS: Final = GroupVersionResource("", "v1", "pods")


@dataclass(frozen=True, slots=True)
class PushConfig:
    host: str
    port: int
    tls_cert: Path
    tls_key: Path
    client_ca: Path


class PushServer:
    """`answer` is the handler of an HttpServer."""

    def __init__(
        self,
        store: LogStore,
        client: Client,
        gate: Gate,
        labels_of: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._client = client
        self._gate = gate
        self._labels_of = labels_of
        self._own: dict[tuple[str, str, str, str], bool] = {}  # node, namespace, pod, uid

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        if request.raw_path == "/ready":
            return text_response(200, "ready\n")
        if request.raw_path not in (PUSH_PATH, NODE_PATH):
            return text_response(404, "404 page not found\n")
        if request.method != "POST":
            return text_response(405, "only POST is served here\n")
        return self._take(request)

    async def _take(self, request: Request) -> Answer:
        user = await self._gate.user_of(request)
        if user is None:
            return text_response(401, "Unauthorized\n")
        try:
            if request.raw_path == NODE_PATH:
                return await self._take_from_node(request, user)
            if not await self._gate.allows(user, request.method, request.raw_path):
                why = f'Forbidden: user "{user.name}" cannot post path "{PUSH_PATH}"\n'
                return text_response(403, why)
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind == PROTOBUF:
                return self._take_protobuf(request)
            if kind != "application/json":
                return text_response(415, f"only application/json and {PROTOBUF} are understood\n")
            return self._stored(push.loki_batches(body_of(request)))
        except push.PushError as exc:
            return text_response(400, f"{exc}\n")

    def _take_protobuf(self, request: Request) -> Answer:
        """Raises PushError."""
        from tiphys.logstore import loki_protobuf

        if not loki_protobuf.snappy_is_there():
            text = "protobuf needs the package cramjam here: pip install 'tiphys[loki]'\n"
            return text_response(415, text)
        document = loki_protobuf.document_of(request.body, BODY_BYTES_MAX)
        return self._stored(push.document_batches(document))

    async def _take_from_node(self, request: Request, user: User) -> Answer:
        if NODES_GROUP not in user.groups or not user.name.startswith(NODE_USER):
            return text_response(403, f'Forbidden: user "{user.name}" is no node\n')
        node = user.name.removeprefix(NODE_USER)
        batches = push.node_batches(node, body_of(request), self._taken, self._labels_of)
        for batch in batches:
            if not await self._is_own(node, batch):
                source = batch.source
                where = f"{source.namespace}/{source.pod}"
                log.warning("lines of another node's pod", extra={"node": node, "pod": where})
                return text_response(403, f"Forbidden: pod {where} is not of node {node}\n")
        return self._stored(batches)

    def _taken(self, position: Position) -> int:
        for known in self._store.positions():
            if (known.device, known.inode) == (position.device, position.inode):
                return known.offset
        return 0

    async def _is_own(self, node: str, batch: Batch) -> bool:
        """A pod that is gone may have been its own: its lines are kept, under the node's name.

        Raises ApiError when the API server does not say.
        """
        source = batch.source
        if source.origin != POD_LINES:
            return False
        key = (node, source.namespace, source.pod, source.uid)
        known = self._own.get(key)
        if known is None:
            try:
                pod = await self._client.get(_PODS, source.pod, source.namespace)
                known = uid_of(pod) != source.uid or at(pod, "spec", "nodeName") == node
            except NotFound:
                known = True
            if len(self._own) >= KNOWN_MAX:
                self._own.clear()
            self._own[key] = known
        return known

    def _stored(self, batches: list[Batch]) -> Response:
        try:
            self._store.write([batch for batch in batches if batch.data])
        except (OSError, sqlite3.Error) as exc:
            log.error("pushed lines not stored", extra={"why": str(exc)})
            return text_response(503, "the store does not take lines now\n")
        return Response(204)


def body_of(request: Request) -> bytes:
    """Raises PushError."""
    if request.headers.get("content-encoding", "identity") == "identity":
        return request.body
    if request.headers["content-encoding"] != "gzip":
        raise push.PushError("Content-Encoding is none that is understood here")
    try:
        squeezed = zlib.decompressobj(16 + zlib.MAX_WBITS)
        body = squeezed.decompress(request.body, BODY_BYTES_MAX)
    except (zlib.error, gzip.BadGzipFile) as exc:
        raise push.PushError(f"is no gzip: {exc}") from exc
    if not squeezed.eof:
        raise push.PushError(f"is larger than {BODY_BYTES_MAX} bytes, or cut off")
    return body


async def serve(config: PushConfig, server: PushServer) -> None:
    """Until cancelled. Raises OSError when the address is taken."""
    tls = server_context(config.tls_cert, config.tls_key, [config.client_ca])

    async def guarded(request: Request) -> Answer:
        try:
            work = server.answer(request)
            return await work if isinstance(work, Awaitable) else work
        except ApiError as exc:
            return text_response(503, f"the API server does not answer: {exc.message}\n")

    http = HttpServer(guarded, tls=tls, limits=Limits(body_bytes_max=BODY_BYTES_MAX))
    try:
        await http.listen(config.host, config.port)
        await http.stopping.wait()
    finally:
        await http.stop()


def make_gate(client: Client, config: PushConfig, clock: Clock) -> Gate:
    return Gate(client, clock, config.client_ca)
