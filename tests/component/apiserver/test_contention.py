"""Many writers of one object, on a store whose commits take a while."""

import asyncio
from pathlib import Path

import uvloop

from support.api_server import start
from tiphys.lib.clock import SystemClock
from tiphys.storage.sqlite import SqliteBackend

CONFIG_MAP = "/api/v1/namespaces/default/configmaps/a"
MERGE = {"content-type": "application/merge-patch+json"}
WRITERS = 20


def test_no_writer_gives_up_while_another_ones_write_is_under_way(tmp_path: Path) -> None:
    async def story() -> None:
        backend = await SqliteBackend.open(tmp_path / "store.db", SystemClock())
        running, listening = await start(tmp_path, backend)
        try:
            apis = [running.client() for _ in range(WRITERS)]
            made = {"metadata": {"name": "a"}}
            await apis[0]("POST", CONFIG_MAP.rpartition("/")[0], made)
            codes = await asyncio.gather(
                *(
                    api(
                        "PATCH",
                        CONFIG_MAP,
                        {"data": {f"k{n}": "v"}},
                        headers=MERGE,
                    )
                    for n, api in enumerate(apis)
                )
            )
            assert [code for code, _ in codes] == [200] * WRITERS
            answers = await asyncio.gather(
                apis[0]("DELETE", CONFIG_MAP),
                apis[1](
                    "PATCH",
                    CONFIG_MAP,
                    {"data": {"z": "v"}},
                    headers=MERGE,
                ),
            )
            assert answers[0][0] == 200
        finally:
            await listening.__aexit__()

    async def whole() -> None:
        async with asyncio.timeout(30):
            await story()

    uvloop.run(whole())
