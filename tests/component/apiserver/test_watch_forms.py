"""Watches in protobuf and over WebSockets, beside the lines of JSON that other tests read."""

import asyncio
import base64
import gc
import json
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets
from websockets.asyncio.client import connect

from support.api_server import ADMIN, Api, RunningApiServer, Story, memory_backend, start
from support.waiting import until
from tiphys.apiserver.context import RequestContext
from tiphys.codec import protobuf
from tiphys.lib import tls
from tiphys.lib.http.client_stream import Stream
from tiphys.storage import watch_cache

MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = "application/vnd.kubernetes.protobuf"
STREAM = f"{PROTOBUF};stream=watch"
METADATA = f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"

Tell = Callable[[Story], None]


def a_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"l": name}}, "data": {"k": "v"}}


async def frames(stream: Stream) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(type, object): four bytes of length before each event."""
    held = b""
    async for data in stream.chunks():
        held += data
        while len(held) >= 4 and len(held) >= 4 + (size := struct.unpack(">I", held[:4])[0]):
            yield protobuf.decode_watch_event(held[4 : 4 + size])
            held = held[4 + size :]
    assert not held, "the stream ended inside a frame"


async def first_frames(api: Api, path: str, accept: str, count: int) -> list[Any]:
    stream = await api.http.stream("GET", path, headers={"accept": accept})
    assert stream.headers["content-type"] == STREAM
    found = []
    async for frame in frames(stream):
        found.append(frame)
        if len(found) == count:
            break
    stream.close()
    return found


def shown(found: list[Any]) -> list[tuple[str, str]]:
    return [(kind, obj["metadata"].get("name", "")) for kind, obj in found]


@pytest.mark.parametrize("accept", [PROTOBUF, STREAM, f"{STREAM},application/json"])
def test_events_in_protobuf(tell: Tell, accept: str) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        _, before = await api("POST", MAPS, a_map("a"))
        await api("POST", MAPS, a_map("b"))
        await api("DELETE", f"{MAPS}/a")
        revision = before["metadata"]["resourceVersion"]
        path = f"{MAPS}?watch=1&resourceVersion={revision}"
        found = await first_frames(api, path, accept, 2)
        assert shown(found) == [("ADDED", "b"), ("DELETED", "a")]
        assert found[0][1] == (await api("GET", f"{MAPS}/b"))[1]

    tell(story)


def test_initial_events_and_their_end_in_protobuf(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", MAPS, a_map("a"))
        query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
        path = f"{MAPS}?{query}&resourceVersionMatch=NotOlderThan&labelSelector=l%3Da"
        (_, obj), (kind, mark) = await first_frames(api, path, PROTOBUF, 2)
        assert obj["data"] == {"k": "v"}
        assert (kind, mark["kind"]) == ("BOOKMARK", "ConfigMap")
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    tell(story)


def test_a_revision_that_is_too_old_is_an_event_in_protobuf(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_cache, "WINDOW_EVENTS_MAX", 1)

    async def story(api: Api, running: RunningApiServer) -> None:
        for name in "abc":
            await api("POST", MAPS, a_map(name))
        path = f"{MAPS}?watch=1&resourceVersion=1"
        ((kind, status),) = await first_frames(api, path, PROTOBUF, 1)
        assert (kind, status["kind"], status["code"]) == ("ERROR", "Status", 410)

    tell(story)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_metadata_in_protobuf(tell: Tell, version: str) -> None:
    """What client-go's metadata client asks for: get, list and watch."""

    async def story(api: Api, running: RunningApiServer) -> None:
        accept = METADATA.removesuffix("v1") + version
        _, made = await api("POST", MAPS, a_map("a"))
        one = await got(api, f"{MAPS}/a", accept)
        api_version = f"meta.k8s.io/{version}"
        assert one == {
            "kind": "PartialObjectMetadata",
            "apiVersion": api_version,
            "metadata": made["metadata"],
        }
        listed = await got(api, MAPS, accept.replace("Metadata;", "MetadataList;"))
        assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", api_version)
        assert made["metadata"] in [item["metadata"] for item in listed["items"]]
        assert int(listed["metadata"]["resourceVersion"]) > 0
        path = f"{MAPS}?watch=1&labelSelector=l%3Da"
        assert await first_frames(api, path, accept, 1) == [("ADDED", one)]

    tell(story)


def test_a_view_keeps_nothing_of_who_asked_first(tell: Tell) -> None:
    """Views live long, and requests hold tokens."""

    def is_held() -> bool:
        contexts = (one for one in gc.get_objects() if isinstance(one, RequestContext))
        return any(context.request.headers.get("accept") == TABLE for context in contexts)

    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", MAPS, a_map("a"))
        stream = await api.http.stream("GET", f"{MAPS}?watch=1", headers={"accept": TABLE})
        assert await anext(stream.chunks())
        assert is_held()
        stream.close()
        await until(lambda: not is_held())

    tell(story)


async def got(api: Api, path: str, accept: str) -> dict[str, Any]:
    status, body = await api("GET", path, headers={"accept": accept})
    assert status == 200
    return protobuf.decode_object(body)


def test_metadata_of_what_is_defined_in_protobuf(tell: Tell) -> None:
    """Objects of definitions have no form in protobuf, their metadata has."""
    group = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    spec = {
        "group": "acme.io",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Cluster",
        "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
    }

    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", group, {"metadata": {"name": "widgets.acme.io"}, "spec": spec})
        widgets = "/apis/acme.io/v1/widgets"
        body = {"apiVersion": "acme.io/v1", "kind": "Widget"} | a_map("a")
        while (await api("POST", widgets, body))[0] == 404:
            pass
        assert (await got(api, f"{widgets}/a", METADATA))["metadata"]["name"] == "a"
        found = await first_frames(api, f"{widgets}?watch=1", METADATA, 1)
        assert shown(found) == [("ADDED", "a")]
        for path in (f"{widgets}/a", f"{widgets}?watch=1"):
            assert (await api("GET", path, headers={"accept": PROTOBUF}))[0] == 406

    tell(story)


def socket_to(running: RunningApiServer, path: str, **more: Any) -> connect:
    files = (running.directory / f"{ADMIN}.crt", running.directory / f"{ADMIN}.key")
    more = {"origin": "https://dashboard"} | more
    context = tls.client_context(running.authority.path, *files)
    address = f"wss://127.0.0.1:{running.port}{path}"
    return connect(address, ssl=context, proxy=None, **more)


def test_events_over_a_websocket(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", MAPS, a_map("a"))
        path = f"{MAPS}?watch=1&labelSelector=l"
        async with socket_to(running, path, subprotocols=["mine"]) as socket:
            assert socket.subprotocol == "mine"
            first = await socket.recv()
            assert isinstance(first, str)
            assert json.loads(first)["object"]["metadata"]["name"] == "a"
            await (await socket.ping())
            await socket.send("nobody listens")
            await api("DELETE", f"{MAPS}/a")
            event = json.loads(await socket.recv())
            assert (event["type"], event["object"]["kind"]) == ("DELETED", "ConfigMap")
        assert socket.close_code == 1000

    tell(story)


def test_events_over_a_websocket_in_protobuf(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await api("POST", MAPS, a_map("a"))
        path = f"{MAPS}?watch=1&labelSelector=l"
        async with socket_to(running, path, additional_headers={"Accept": PROTOBUF}) as socket:
            message = await socket.recv()
            assert isinstance(message, bytes)
            assert shown([protobuf.decode_watch_event(message)]) == [("ADDED", "a")]

    tell(story)


def test_only_the_first_table_over_a_websocket_has_columns(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        for name in "ab":
            await api("POST", MAPS, a_map(name))
        path = f"{MAPS}?watch=1&labelSelector=l"
        async with socket_to(running, path, additional_headers={"Accept": TABLE}) as socket:
            tables = [json.loads(await socket.recv())["object"] for _ in range(2)]
        assert [bool(t["columnDefinitions"]) for t in tables] == [True, False]

    tell(story)


def test_a_websocket_ends_with_its_timeout(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        path = f"{MAPS}?watch=1&timeoutSeconds=1&labelSelector=none"
        async with socket_to(running, path) as socket:
            with pytest.raises(websockets.exceptions.ConnectionClosedOK):
                await socket.recv()

    tell(story)


def test_a_server_that_stops_ends_its_websockets(tmp_path: Path) -> None:
    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend())
        async with (
            asyncio.timeout(20),
            socket_to(running, f"{MAPS}?watch=1&labelSelector=none") as socket,
        ):
            ending = asyncio.create_task(listening.__aexit__())
            with pytest.raises(websockets.exceptions.ConnectionClosedOK):
                await socket.recv()
            await ending

    uvloop.run(story())


def test_a_token_among_the_subprotocols(tmp_path: Path) -> None:
    """As a browser sends it: it is not answered, and the other one is."""
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('secret?,jane,1,"system:masters"\n')

    def words(token: str) -> str:
        encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        return f"base64url.bearer.authorization.k8s.io.{encoded}"

    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend(), token_auth_file=tokens)
        address = f"wss://127.0.0.1:{running.port}/api/v1/namespaces?watch=1"
        context = tls.client_context(running.authority.path)

        def connected(*protocols: str) -> connect:
            more: Any = {"origin": "https://a", "subprotocols": protocols}
            return connect(address, ssl=context, proxy=None, **more)

        async with asyncio.timeout(20):
            async with connected(words("secret?"), "mine") as socket:
                assert socket.subprotocol == "mine"
                assert json.loads(await socket.recv())["type"] == "ADDED"
            for refused in ([words("other"), "mine"], [words("secret?")], [words("a") + "!", "b"]):
                with pytest.raises(websockets.exceptions.InvalidStatus, match="401"):
                    async with connected(*refused):
                        pass
        await listening.__aexit__()

    uvloop.run(story())


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param({"origin": None}, 403, id="no-origin"),
        pytest.param({"subprotocols": ["a", "b"]}, 400, id="two-subprotocols"),
    ],
)
def test_handshakes_that_upstream_refuses(tell: Tell, more: dict[str, Any], status: int) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            async with socket_to(running, f"{MAPS}?watch=1", **more):
                pass
        assert refused.value.response.status_code == status

    tell(story)
