"""Many clients patch one object at once: every patch is applied, none is lost or refused."""

import asyncio
from pathlib import Path

from support.api_server import api_server_in_thread

PATH = "/api/v1/namespaces/default/configmaps"
CLIENTS = 40


def test_every_patch_of_many_clients_is_applied(tmp_path: Path) -> None:
    with api_server_in_thread(tmp_path) as running:

        async def story() -> None:
            api = running.client()
            await api("POST", PATH, {"metadata": {"name": "m"}, "data": {"first": "x"}})
            merge = {"content-type": "application/merge-patch+json"}
            answers = await asyncio.gather(
                *[
                    api("PATCH", f"{PATH}/m", {"data": {f"k{n}": str(n)}}, merge)
                    for n in range(CLIENTS)
                ]
            )
            assert [status for status, _ in answers] == [200] * CLIENTS
            _, found = await api("GET", f"{PATH}/m")
            assert set(found["data"]) == {"first", *(f"k{n}" for n in range(CLIENTS))}

        asyncio.run(story())
