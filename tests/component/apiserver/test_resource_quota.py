"""Quotas under load: writers on two servers, and writes that fail after they were counted."""

import asyncio
from pathlib import Path
from typing import Any

import uvloop

from support.api_server import Api, start
from support.etcd import etcd
from tiphys.lib.clock import SystemClock
from tiphys.storage.etcd.backend import EtcdBackend
from tiphys.storage.sqlite import SqliteBackend

QUOTAS = "/api/v1/namespaces/default/resourcequotas"
SECRETS = "/api/v1/namespaces/default/secrets"
ROOM = 5
WRITERS = 16
SECONDS_MAX = 60


async def a_quota(api: Api, hard: dict[str, str]) -> None:
    """As the quota controller leaves it."""
    _, made = await api("POST", QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    code, _ = await api("PUT", f"{QUOTAS}/q/status", {**made, "status": status})
    assert code == 200


async def used(api: Api) -> Any:
    return (await api("GET", f"{QUOTAS}/q"))[1]["status"]["used"]


def test_two_servers_together_give_out_no_more_than_there_is(tmp_path: Path) -> None:
    async def story() -> None:
        with etcd(1) as cluster:
            backends = [
                await EtcdBackend.open(cluster.endpoints, cluster.tls(), SystemClock())
                for _ in range(2)
            ]
            begun = [await start(tmp_path / f"s{n}", b) for n, b in enumerate(backends)]
            try:
                apis = [begun[n % 2][0].client() for n in range(WRITERS)]
                await a_quota(apis[0], {"secrets": str(ROOM)})
                answers = await asyncio.gather(
                    *(api("POST", SECRETS, {"metadata": {"name": f"s{n}"}})
                      for n, api in enumerate(apis))
                )  # fmt: skip
                codes = [code for code, _ in answers]
                assert (codes.count(201), codes.count(403)) == (ROOM, WRITERS - ROOM)
                assert await used(apis[1]) == {"secrets": str(ROOM)}
                full = f"requested: secrets=1, used: secrets={ROOM}, limited: secrets={ROOM}"
                refusals = [answer["message"] for code, answer in answers if code == 403]
                assert all(text.endswith(f"exceeded quota: q, {full}") for text in refusals)
            finally:
                for _, listening in begun:
                    await listening.__aexit__()
                for backend in backends:
                    await backend.close()

    async def whole() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await story()

    uvloop.run(whole())


def test_a_write_that_fails_gives_its_part_back(tmp_path: Path) -> None:
    async def story() -> None:
        backend = await SqliteBackend.open(tmp_path / "store.db", SystemClock())
        running, listening = await start(tmp_path, backend)
        try:
            api = running.client()
            await a_quota(api, {"secrets": "2", "count/secrets": "9"})
            secret = {"metadata": {"name": "s"}}
            assert (await api("POST", SECRETS, secret))[0] == 201
            assert (await api("POST", SECRETS, secret))[0] == 409
            assert await used(api) == {"secrets": "1", "count/secrets": "1"}
            path = f"{SECRETS}?dryRun=All"
            assert (await api("POST", path, {"metadata": {"name": "t"}}))[0] == 201
            assert await used(api) == {"secrets": "1", "count/secrets": "1"}
        finally:
            await listening.__aexit__()

    async def whole() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await story()

    uvloop.run(whole())
