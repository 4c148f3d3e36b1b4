"""Whom a front proxy names is who asks; nobody else can say so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvloop

from support.api_server import ADMIN, NOBODY, memory_backend, start
from tiphys.apiserver.filters.request_header import RequestHeaderConfig, said

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
JANE = {
    "X-Remote-User": "jane",
    "X-Remote-Group": "system:masters, dev",
    "X-Remote-Uid": "7",
    "X-Remote-Extra-Acme.com%2fproject": "some",
}
SEEN = {
    "username": "jane",
    "uid": "7",
    "groups": ["system:masters", "dev", "system:authenticated"],
    "extra": {"acme.com/project": ["some"]},
}


def asked_as(directory: Path, user: str, headers: dict[str, str]) -> tuple[int, Any]:
    async def story() -> tuple[int, Any]:
        running, listening = await start(directory, memory_backend())
        try:
            async with asyncio.timeout(30):
                return await running.client(user)("POST", REVIEWS, {"spec": {}}, headers)
        finally:
            await listening.__aexit__()

    return uvloop.run(story())


def test_a_front_proxy_says_who_asks(tmp_path: Path) -> None:
    status, review = asked_as(tmp_path, "front-proxy/allowed", JANE)
    assert (status, review["status"]["userInfo"]) == (201, SEEN)


@pytest.mark.parametrize("user", [ADMIN, NOBODY])
def test_a_client_cannot_name_another(tmp_path: Path, user: str) -> None:
    status, review = asked_as(tmp_path, user, JANE)
    assert status == 201
    assert review["status"]["userInfo"]["username"] != "jane"


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        pytest.param("front-proxy/other", JANE, id="a-proxy-of-another-name"),
        pytest.param("front-proxy/allowed", {}, id="a-proxy-that-names-nobody"),
        pytest.param("front-proxy/allowed", {"X-Remote-Group": "system:masters"}, id="no-user"),
    ],
)
def test_a_proxy_is_no_user_itself(tmp_path: Path, user: str, headers: dict[str, str]) -> None:
    assert asked_as(tmp_path, user, headers)[0] == 401


def test_the_first_header_with_a_value_counts() -> None:
    config = RequestHeaderConfig(username_headers=("x-a", "x-b"), group_headers=("x-g", "x-h"))
    headers = {"x-a": "", "x-b": "b", "x-g": "1", "x-h": "2", "x-remote-extra-k": "v, w"}
    assert said(headers, config) == (
        "b",
        ("1", "2", "system:authenticated"),
        "",
        (("k", ("v", "w")),),
    )
