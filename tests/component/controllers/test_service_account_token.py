"""A token in a Secret is good for as long as the Secret and its account are there."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.client_rig import Rig, Tell
from tiphys.api.errors import NotFound, Unauthorized
from tiphys.api.meta import GroupVersionResource, Obj, at
from tiphys.client.component import run_controllers
from tiphys.client.rest import Client
from tiphys.controllers.kinds import SECRETS, SERVICE_ACCOUNTS
from tiphys.controllers.service_account_token import (
    ACCOUNT_NAME,
    TYPE,
    TokenController,
    TokenSigner,
)
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet

REVIEWS = GroupVersionResource("authentication.k8s.io", "v1", "selfsubjectreviews")


@asynccontextmanager
async def controlled(rig: Rig) -> AsyncIterator[None]:
    signer, tasks = TokenSigner.from_file(rig.directory / "sa.key"), TaskSet()
    running = run_controllers(
        rig.direct(), SystemClock(), lambda context: [TokenController(context, signer, b"CA")], []
    )
    tasks.start(running, "controllers")
    try:
        yield
    finally:
        await tasks.close()


async def make(client: Client, *, account: bool = True) -> None:
    if account:
        described = {"name": "a", "namespace": "default"}
        await client.create(SERVICE_ACCOUNTS, {"metadata": described})
    described = {"name": "t", "namespace": "default"}
    annotated = described | {"annotations": {ACCOUNT_NAME: "a"}}
    await client.create(SECRETS, {"metadata": annotated, "type": TYPE})


async def filled(client: Client) -> Obj:
    while True:
        secret = await client.get(SECRETS, "t", "default")
        if at(secret, "data", "token"):
            return secret
        await asyncio.sleep(0.01)


async def gone(client: Client) -> None:
    while True:
        try:
            await client.get(SECRETS, "t", "default")
        except NotFound:
            return
        await asyncio.sleep(0.01)


async def whoami(client: Client) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.create(REVIEWS, review, "")
    return str(at(answer, "status", "userInfo", "username"))


def test_the_token_is_the_accounts_until_the_account_goes(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with controlled(rig):
            await make(client)
            secret = await filled(client)
            bearer = rig.with_token(base64.b64decode(secret["data"]["token"]).decode())
            assert await whoami(bearer) == "system:serviceaccount:default:a"
            await client.delete(SERVICE_ACCOUNTS, "a", "default")
            await gone(client)
            with pytest.raises(Unauthorized):
                await whoami(bearer)

    tell(story)


def test_a_token_that_the_secret_no_longer_holds_is_refused(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with controlled(rig):
            await make(client)
            secret = await filled(client)
            bearer = rig.with_token(base64.b64decode(secret["data"]["token"]).decode())
            assert await whoami(bearer) == "system:serviceaccount:default:a"
        other = secret | {"data": secret["data"] | {"token": "b3RoZXI="}}
        await client.update(SECRETS, other)
        with pytest.raises(Unauthorized):
            await whoami(bearer)

    tell(story)


def test_a_secret_of_no_account_is_deleted(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        client = rig.direct()
        async with controlled(rig):
            await make(client, account=False)
            await gone(client)

    tell(story)
