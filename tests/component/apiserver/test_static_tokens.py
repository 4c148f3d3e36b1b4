"""Requests with tokens of a file, over TLS."""

import asyncio
from pathlib import Path

import uvloop

from support.api_server import memory_backend, start

MAPS = "/api/v1/namespaces/default/configmaps"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


def test_who_has_which_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('good,jane,7,"system:masters,team"\nweak,joe,8\n')

    async def story() -> None:
        running, listening = await start(tmp_path, memory_backend(), token_auth_file=path)
        nobody = running.client(None)

        async def ask(token: str, method: str, where: str, body: object = None) -> tuple[int, dict]:  # type: ignore[type-arg]
            return await nobody(method, where, body, {"authorization": f"Bearer {token}"})

        async with asyncio.timeout(30):
            assert (await ask("good", "GET", MAPS))[0] == 200
            assert (await ask("weak", "GET", MAPS))[0] == 403
            assert (await ask("none", "GET", MAPS))[0] == 401
            _, me = await ask("good", "POST", SELF, {"metadata": {}})
            groups = ["system:masters", "team", "system:authenticated"]
            assert me["status"]["userInfo"] == {"username": "jane", "uid": "7", "groups": groups}
            _, review = await ask("good", "POST", REVIEWS, {"spec": {"token": "weak"}})
            assert review["status"]["user"]["username"] == "joe"
        await listening.__aexit__()

    uvloop.run(story())
