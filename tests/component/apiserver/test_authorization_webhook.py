"""A server that is asked what Node and RBAC do not allow."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from support.api_server import NOBODY, Api, memory_backend, start
from support.throwaway_pki import Authority
from tiphys.lib import tls
from tiphys.lib.http.message import Request, Response, text_response
from tiphys.lib.http.server import HttpServer

REVIEWS = "/apis/authorization.k8s.io/v1"


class Webhook:
    """Allows what `allows` says of a review's spec; notes each spec. Wants a certificate."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "webhook", "webhook-ca")
        self.client = self.authority.issue("apiserver")
        context = tls.server_context(
            *self.authority.issue("webhook", server=True), [self.authority.path]
        )
        self.http = HttpServer(self._handle, tls=context)
        self.specs: list[Any] = []
        self.status: Callable[[Any], Any] = lambda spec: {"allowed": False}
        self.code = 200
        self.certificates = 0

    async def listen(self) -> Path:
        """The kubeconfig file that leads here."""
        port = await self.http.listen("127.0.0.1", 0)
        cluster = {
            "server": f"https://127.0.0.1:{port}/authorize",
            "certificate-authority": str(self.authority.path),
        }
        user = {
            "client-certificate": str(self.client[0]),
            "client-key": str(self.client[1]),
        }
        path = self.authority.path.parent / "webhook.conf"
        context = {"cluster": "webhook", "user": "apiserver"}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "webhook",
                    "clusters": [{"name": "webhook", "cluster": cluster}],
                    "users": [{"name": "apiserver", "user": user}],
                    "contexts": [{"name": "webhook", "context": context}],
                }
            )
        )
        return path

    def asked(self, resource: str) -> list[Any]:
        """Of a resource; components of the server ask as well."""
        return [
            s for s in self.specs if (s.get("resourceAttributes") or {}).get("resource") == resource
        ]

    def _handle(self, request: Request) -> Response:
        if request.path != "/authorize" or self.code != 200:
            return text_response(self.code if self.code != 200 else 404, "")
        self.certificates += request.connection.peer_certificate is not None
        review = json.loads(request.body)
        assert (review["apiVersion"], review["kind"]) == (
            "authorization.k8s.io/v1",
            "SubjectAccessReview",
        )
        self.specs.append(review["spec"])
        answer = review | {"status": self.status(review["spec"])}
        return Response(200, json.dumps(answer).encode(), (("Content-Type", "application/json"),))


Story = Callable[[Api, Api, Webhook], Coroutine[Any, Any, None]]


def with_webhook(directory: Path, story: Story, **config: Any) -> None:
    async def whole() -> None:
        webhook = Webhook(directory)
        running, listening = await start(
            directory,
            memory_backend(),
            authorization_modes=("Node", "RBAC", "Webhook"),
            authorization_webhook_config=await webhook.listen(),
            authorization_webhook_version="v1",
            **config,
        )
        try:
            async with asyncio.timeout(40):
                await story(running.client(), running.client(NOBODY), webhook)
        finally:
            await listening.__aexit__()
            await webhook.http.stop()

    uvloop.run(whole())


def of_config_maps(spec: Any) -> Any:
    if (spec.get("resourceAttributes") or {}).get("resource") == "configmaps":
        return {"allowed": True, "reason": "they may"}
    return {"allowed": False, "reason": "they may not"}


def test_asked_for_what_rbac_does_not_allow(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.status = of_config_maps
        assert (await admin("GET", "/api/v1/configmaps"))[0] == 200
        assert webhook.asked("configmaps") == []
        new = {"metadata": {"name": "a"}, "data": {"k": "v"}}
        assert (await api("POST", "/api/v1/namespaces/default/configmaps", new))[0] == 201
        path = "/api/v1/namespaces/default/configmaps/a"
        assert (await api("GET", path))[0] == 200
        spec = webhook.asked("configmaps")[1]
        assert (spec["user"], "system:authenticated" in spec["groups"]) == (NOBODY, True)
        assert spec["resourceAttributes"] == {
            "namespace": "default",
            "verb": "get",
            "version": "v1",
            "resource": "configmaps",
            "name": "a",
        }
        code, status = await api("GET", "/api/v1/secrets")
        assert code == 403
        assert status["message"].endswith("at the cluster scope: they may not")
        code, _ = await api("GET", "/configz")
        assert (code, webhook.specs[-1]["nonResourceAttributes"]) == (
            403,
            {"path": "/configz", "verb": "get"},
        )
        assert webhook.certificates == len(webhook.specs)

    with_webhook(tmp_path, story)


def test_answers_are_kept(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.status = of_config_maps
        for _ in range(3):
            assert (await api("GET", "/api/v1/configmaps"))[0] == 200
            assert (await api("GET", "/api/v1/secrets"))[0] == 403
        assert (len(webhook.asked("configmaps")), len(webhook.asked("secrets"))) == (1, 1)

    with_webhook(tmp_path, story)


def test_answers_that_are_not_kept(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.status = of_config_maps
        for _ in range(3):
            assert (await api("GET", "/api/v1/configmaps"))[0] == 200
        assert len(webhook.asked("configmaps")) == 3
        assert (await api("POST", f"{REVIEWS}/selfsubjectaccessreviews", review()))[0] == 201

    with_webhook(tmp_path, story, authorization_webhook_allowed_seconds=0.0)


def review(resource: str = "configmaps") -> Any:
    return {"spec": {"resourceAttributes": {"verb": "list", "resource": resource}}}


def test_reviews_tell_what_it_says(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.status = lambda spec: {"allowed": False, "denied": True, "reason": "never"}
        asked = review()
        asked["spec"]["user"] = "jane"
        _, found = await admin("POST", f"{REVIEWS}/subjectaccessreviews", asked)
        assert found["status"] == {"allowed": False, "denied": True, "reason": "never"}
        assert webhook.asked("configmaps")[-1]["user"] == "jane"
        webhook.status = lambda spec: {"allowed": True, "denied": True}
        asked["spec"]["user"] = "joe"
        _, found = await admin("POST", f"{REVIEWS}/subjectaccessreviews", asked)
        assert (found["status"]["allowed"], found["status"]["denied"]) == (False, True)
        assert "both allow and deny" in found["status"]["evaluationError"]
        rules = {"spec": {"namespace": "default"}}
        _, found = await admin("POST", f"{REVIEWS}/selfsubjectrulesreviews", rules)
        assert found["status"]["incomplete"]

    with_webhook(tmp_path, story)


@pytest.mark.parametrize("gone", [False, True])
def test_no_answer_is_no_right(tmp_path: Path, gone: bool) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.code = 403
        if gone:
            await webhook.http.stop()
        code, text = await api("GET", "/api/v1/configmaps")
        assert code == 500
        assert text.startswith(b'Internal Server Error: "/api/v1/configmaps": ')
        assert (await admin("GET", "/api/v1/configmaps"))[0] == 200
        asked = review()
        asked["spec"]["user"] = "jane"
        _, found = await admin("POST", f"{REVIEWS}/subjectaccessreviews", asked)
        assert (found["status"]["allowed"], "denied" in found["status"]) == (False, False)
        assert found["status"]["evaluationError"]

    with_webhook(tmp_path, story)


def test_impersonation_asks_for_each_group(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, webhook: Webhook) -> None:
        webhook.status = lambda spec: {"allowed": True}
        headers = {"impersonate-user": "jane", "impersonate-group": "a"}
        assert (await api("GET", "/api/v1/secrets", headers=headers))[0] == 200
        names = [(s["user"], s["resourceAttributes"]["verb"]) for s in webhook.specs]
        assert names[-3:] == [(NOBODY, "impersonate"), (NOBODY, "impersonate"), ("jane", "list")]

    with_webhook(tmp_path, story)
