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
from tiphys.apiserver.negotiation import MediaType
from tiphys.apiserver.printing import AGE, SCALE_NAME, Printer
from tiphys.apiserver.resources.autoscaling import scale
from tiphys.codec.typed import to_typed
from tiphys.lib.clock import Clock
from tiphys.storage.cached_object import CachedObject
from tiphys.storage.watch_cache import View

META_GROUP: Final = "meta.k8s.io"


class Views:
    """Renders what negotiation chose. Watch views are kept, so that watchers share their bytes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watch_views: dict[tuple[str, str, str, str, str, str], View] = {}

    def forget(self) -> None:
        """Kinds are others than before."""
        self._watch_views.clear()

    def render(self, ctx: RequestContext, media: MediaType, obj: Obj) -> Obj:
        """A view of an object or list. Raises NotAcceptable."""
        is_list = obj.get("kind", "").endswith("List") and "items" in obj
        if media.as_kind == "Table":
            return self.table(ctx, media, obj, is_list=is_list)
        version = f"{META_GROUP}/{media.as_version}"
        kind = ctx.endpoint.info.kind
        group = ctx.endpoint.info.group.partition(".")[0] or "core"
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

    def table(self, ctx: RequestContext, media: MediaType, obj: Obj, *, is_list: bool) -> Obj:
        if obj.get("kind") == "Status":
            return obj
        included = _included(ctx)
        columns = (SCALE_NAME, *scale.COLUMNS, AGE) if obj.get("kind") == "Scale" else ()
        printer = Printer(ctx.endpoint.resource, self._clock.now(), columns)
        rows = obj["items"] if is_list else [obj]
        order = ctx.endpoint.resource.table_order
        rows = sorted(rows, key=order) if order is not None else rows
        metadata = _list_metadata(obj) if is_list else {}
        if not is_list and "resourceVersion" in obj["metadata"]:
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        shown = [
            printer.row(
                o, self._row_object(ctx, o, media.as_version, included), info=ctx.endpoint.info
            )
            for o in rows
        ]
        return {
            "kind": "Table",
            "apiVersion": f"{META_GROUP}/{media.as_version}",
            "metadata": metadata,
            "columnDefinitions": printer.definitions(),
            # Upstream's default columns (rest/table.go) begin with no slice, the printers with one.
            "rows": shown if shown or ctx.endpoint.resource.columns else None,
        }

    def _row_object(self, ctx: RequestContext, obj: Obj, version: str, included: str) -> Obj | None:
        """What `includeObject` asks to send along with each row."""
        if included == "None":
            return None
        if included == "Object":
            info = ctx.endpoint.info
            return {"kind": info.kind, "apiVersion": info.gvk.api_version} | obj
        return partial(obj, f"{META_GROUP}/{version}")

    def watch_view(self, ctx: RequestContext, media: MediaType) -> View:
        """How a watch shows objects."""
        endpoint = ctx.endpoint
        info = endpoint.info
        included = _included(ctx)
        key = (info.group, info.version, info.plural, media.as_kind, media.as_version, included)
        view = self._watch_views.get(key)
        if view is None:
            view = self._watch_views[key] = self._make_watch_view(ctx, media)
        return view

    def _make_watch_view(self, ctx: RequestContext, media: MediaType) -> View:
        endpoint = ctx.endpoint
        if not media.as_kind:
            head, shown = endpoint.head, endpoint.shown
            return lambda cached: head + shown(cached).tail

        def view(cached: CachedObject) -> bytes:
            shown = self.render(ctx, media, endpoint.decode(cached))
            return orjson.dumps(without_columns(shown))

        return view

    def first_of_watch(
        self, ctx: RequestContext, media: MediaType
    ) -> Callable[[bytes], bytes] | None:
        """Puts into a stream's first Table the columns, which later ones do not repeat."""
        if media.as_kind != "Table":
            return None
        printer = Printer(ctx.endpoint.resource, self._clock.now())
        columns = b'"columnDefinitions":' + orjson.dumps(printer.definitions())
        return lambda line: line.replace(_NO_COLUMNS, columns, 1)

    def bookmark(self, ctx: RequestContext, revision: int, annotations: Obj) -> Obj:
        """An object with nothing but a revision (and the mark of the initial events' end)."""
        info = ctx.endpoint.info
        media = ctx.media("watch")
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
            return without_columns(self.table(ctx, media, document, is_list=False))
        return document


_NO_COLUMNS: Final = b'"columnDefinitions":null'


def without_columns(table: Obj) -> Obj:
    """A Table as a watch shows it after its first event. Upstream: TableOptions.NoHeaders."""
    return table | {"columnDefinitions": None} if "columnDefinitions" in table else table


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
