"""Client and server over a real unix socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError, not_found
from tiphys.cri.server import CriServer


async def version(request: dict[str, Any]) -> dict[str, Any]:
    return {"version": request["version"], "runtime_name": "test"}


async def status(request: dict[str, Any]) -> dict[str, Any]:
    raise not_found("container", request["container_id"])


async def slow(request: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


async def events(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for name in ("a", "b"):
        yield {"container_id": name, "container_event_type": "CONTAINER_STOPPED_EVENT"}


async def _served(path: Path) -> CriServer:
    server = CriServer(
        {"Version": version, "ContainerStatus": status, "Status": slow},
        {"GetContainerEvents": events},
    )
    await server.start(str(path))
    return server


def test_calls_errors_and_streams(tmp_path: Path) -> None:
    async def run() -> None:
        server = await _served(tmp_path / "s")
        client = CriClient(f"unix://{tmp_path}/s")
        answer = await client.call("Version", {"version": "v1"})
        assert answer == {"version": "v1", "runtime_name": "test"}
        with pytest.raises(CriError, match="'x' not found") as missing:
            await client.call("ContainerStatus", {"container_id": "x"})
        assert missing.value.code == "NOT_FOUND"
        with pytest.raises(CriError) as unknown:
            await client.call("ListImages", {})
        assert unknown.value.code == "UNIMPLEMENTED"
        with pytest.raises(CriError) as late:
            await client.call("Status", {}, timeout_seconds=0.05)
        assert late.value.code == "DEADLINE_EXCEEDED"
        seen = [event["container_id"] async for event in client.events()]
        assert seen == ["a", "b"]
        client.close()
        await server.close()

    asyncio.run(run())


def test_nobody_listens(tmp_path: Path) -> None:
    async def run() -> None:
        client = CriClient(f"{tmp_path}/none")
        with pytest.raises(CriError) as down:
            await client.call("Version", {})
        assert down.value.code == "UNAVAILABLE"
        client.close()

    asyncio.run(run())


def test_a_client_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    async def run() -> None:
        client = CriClient(f"{tmp_path}/s")
        for _ in range(2):
            server = await _served(tmp_path / "s")
            await client.call("Version", {"version": "v1"})
            await server.close()
        client.close()

    asyncio.run(run())
