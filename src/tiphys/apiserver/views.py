"""Other views of objects: metadata only, Table, bookmarks. Rendered on demand.

Upstream: endpoints/handlers/response.go, pkg/printers.
"""

from collections.abc import Callable
from typing import Final

import orjson

from tiphys.api.errors import BadRequest, NotAcceptable
from tiphys.api.field_errors import invalid
from tiphys.api.meta import Obj
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.negotiation import PROTOBUF, MediaType
from tiphys.apiserver.printing import AGE, SCALE_NAME, Printer
from tiphys.apiserver.resources.autoscaling import scale
from tiphys.apiserver.watch_frames import frame_of
from tiphys.codec import protobuf
from tiphys.codec.typed import to_typed
from tiphys.lib.clock import Clock
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import View

META_GROUP: Final = "meta.k8s.io"


class Views:
    """Renders what negotiation chose. Watch views are kept, so that watchers share their bytes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watch_views: dict[tuple[str | bool, ...], View] = {}

    def forget(self) -> None:
        """Kinds are others than before."""
        self._watch_views.clear()

    def render(self, ctx: RequestContext, media: MediaType, obj: Obj) -> Obj:
        """A view of an object or list. Raises NotAcceptable."""
        if obj.get("kind") == "Status" and media.as_kind == "Table":
            return obj
        included = _included(ctx) if media.as_kind == "Table" else ""
        return self._rendered(ctx.endpoint, media, obj, included)

    def _rendered(self, endpoint: Endpoint, media: MediaType, obj: Obj, included: str) -> Obj:
        is_list = obj.get("kind", "").endswith("List") and "items" in obj
        if media.as_kind == "Table":
            return self._table(endpoint, media, obj, included, is_list=is_list)
        version = f"{META_GROUP}/{media.as_version}"
        kind = endpoint.info.kind
        group = endpoint.info.group.partition(".")[0] or "core"
        if media.as_kind == "PartialObjectMetadata":
            if is_list or "metadata" not in obj:
                raise NotAcceptable(
                    "you requested PartialObjectMetadata, but the requested object is a list"
                    f" (*{group}.{kind}List)"
                )
            return partial(obj, version)
        if not is_list:
            raise NotAcceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list"
                f" (*{group}.{kind})"
            )
        # Upstream writes null for a list without items, but not in rows.
        items = [partial(item, version) for item in obj["items"]] or None
        metadata = _list_metadata(obj)
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": version,
            "metadata": metadata,
            "items": items,
        }

    def _table(
        self, endpoint: Endpoint, media: MediaType, obj: Obj, included: str, *, is_list: bool
    ) -> Obj:
        columns = (SCALE_NAME, *scale.COLUMNS, AGE) if obj.get("kind") == "Scale" else ()
        printer = Printer(endpoint.resource, self._clock.now(), columns)
        rows = obj["items"] if is_list else [obj]
        order = endpoint.resource.table_order
        rows = sorted(rows, key=order) if order is not None else rows
        metadata = _list_metadata(obj) if is_list else {}
        if not is_list and "resourceVersion" in obj["metadata"]:
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        shown = [
            printer.row(o, _row_object(endpoint, o, media.as_version, included), info=endpoint.info)
            for o in rows
        ]
        return {
            "kind": "Table",
            "apiVersion": f"{META_GROUP}/{media.as_version}",
            "metadata": metadata,
            "columnDefinitions": printer.definitions(),
            # Upstream's default columns (rest/table.go) begin with no slice, the printers with one.
            "rows": shown if shown or endpoint.resource.columns else None,
        }

    def watch_views(
        self, ctx: RequestContext, media: MediaType, *, as_messages: bool
    ) -> tuple[View, View | None]:
        """How a watch shows its first event, and all others if they differ: Tables do.

        `as_messages`: of a WebSocket, not pieces of a body.
        """
        later = self._watch_view(ctx, media, as_messages=as_messages, columns=False)
        if media.as_kind != "Table":
            return later, None
        return self._watch_view(ctx, media, as_messages=as_messages, columns=True), later

    def _watch_view(
        self, ctx: RequestContext, media: MediaType, *, as_messages: bool, columns: bool
    ) -> View:
        info = ctx.endpoint.info
        included = _included(ctx)
        key: tuple[str | bool, ...] = (
            *(info.group, info.version, info.plural),
            *(media.type, media.as_kind, media.as_version, included, as_messages, columns),
        )
        view = self._watch_views.get(key)
        if view is None:
            frame = frame_of(media.type, as_messages=as_messages)
            encode = _document_of(media.type, columns=columns)
            show = self._show_of_watch(ctx.endpoint, media, included, encode)
            view = self._watch_views[key] = View(show, encode, frame)
        return view

    def _show_of_watch(
        self,
        endpoint: Endpoint,
        media: MediaType,
        included: str,
        encode: Callable[[Obj], bytes],
    ) -> Callable[[CachedObject], bytes]:
        """It outlives the request that asked first, and so holds nothing of it."""
        if media.as_kind:
            return lambda cached: encode(
                self._rendered(endpoint, media, endpoint.decode(cached), included)
            )
        if media.type == PROTOBUF:
            return lambda cached: encode(endpoint.decode(cached))
        head, shown = endpoint.head, endpoint.shown
        return lambda cached: head + shown(cached).tail

    def bookmark(
        self, ctx: RequestContext, media: MediaType, revision: int, annotations: Obj
    ) -> Obj:
        """An object with nothing but a revision (and the mark of the initial events' end)."""
        info = ctx.endpoint.info
        metadata: Obj = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        if media.as_kind.startswith("Partial"):
            return {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"{META_GROUP}/{media.as_version}",
                "metadata": metadata,
            }
        document: Obj = {"kind": info.kind, "apiVersion": info.gvk.api_version}
        if ctx.endpoint.custom is not None:
            document["metadata"] = metadata
        else:
            document |= to_typed({"metadata": metadata}, info.schema_type)
        if media.as_kind == "Table":
            return self._table(ctx.endpoint, media, document, _included(ctx), is_list=False)
        return document


def _document_of(media_type: str, *, columns: bool) -> Callable[[Obj], bytes]:
    """How a watch writes one object."""
    if media_type == PROTOBUF:
        return protobuf.encode_object
    return orjson.dumps if columns else lambda obj: orjson.dumps(_without_columns(obj))


def _without_columns(table: Obj) -> Obj:
    """A Table as a watch shows it after its first event. Upstream: TableOptions.NoHeaders."""
    return table | {"columnDefinitions": None} if "columnDefinitions" in table else table


def _row_object(endpoint: Endpoint, obj: Obj, version: str, included: str) -> Obj | None:
    """What `includeObject` asks to send along with each row."""
    if included == "None":
        return None
    if included == "Object":
        info = endpoint.info
        return {"kind": info.kind, "apiVersion": info.gvk.api_version} | obj
    return partial(obj, f"{META_GROUP}/{version}")


def _list_metadata(listed: Obj) -> Obj:
    """Only lists of maps write an empty token."""
    return {k: v for k, v in listed["metadata"].items() if v or k != "continue"}


def partial(obj: Obj, api_version: str) -> Obj:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": obj["metadata"],
    }


def _included(ctx: RequestContext) -> str:
    """`includeObject`; raises BadRequest for what is no choice of upstream."""
    asked = (ctx.param("includeObject") if ctx.request.query else "") or "Metadata"
    if asked not in {"None", "Object", "Metadata"}:
        choices = "must be 'Metadata', 'Object', 'None', or empty"
        error = invalid("includeObject", asked, choices)
        raise BadRequest(f"Unable to convert to Table as requested: {error}")
    return asked
