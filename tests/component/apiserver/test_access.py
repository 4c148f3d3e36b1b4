"""Who somebody is and what they may: certificates, tokens of accounts, rights, reviews."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.api_server import NOBODY, Api, RunningApiServer, Story

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
Tell = Callable[[Story], None]


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        pytest.param(None, "/healthz", 200, id="anonymous-health"),
        pytest.param(None, "/version", 200, id="anonymous-version"),
        pytest.param(None, "/api/v1/namespaces", 403, id="anonymous-objects"),
        pytest.param(NOBODY, "/api", 200, id="discovery-for-the-known"),
        pytest.param(None, "/api", 403, id="discovery-not-for-all"),
        pytest.param(NOBODY, "/api/v1/namespaces", 403, id="no-rights"),
        pytest.param("admin", "/api/v1/namespaces", 200, id="master"),
    ],
)
def test_who_may(tell: Tell, user: str | None, path: str, status: int) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        assert (await running.client(user)("GET", path))[0] == status

    tell(story)


def test_a_token_works_as_long_as_its_account(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        await api("POST", accounts, {"metadata": {"name": "bot"}})
        _, request = await api("POST", f"{accounts}/bot/token", {"spec": {}})
        token = request["status"]["token"]
        headers = {"authorization": f"Bearer {token}"}
        anyone = running.client(None)
        assert (await anyone("GET", "/api", headers=headers))[0] == 200
        _, refused = await anyone("GET", CONFIG_MAPS, headers=headers)
        assert 'User "system:serviceaccount:default:bot"' in refused["message"]
        at = token.rindex(".") + 10  # Within the signature, where every bit counts.
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        other = {"authorization": f"Bearer {changed}"}
        assert (await anyone("GET", "/api", headers=other))[0] == 401
        await api("DELETE", f"{accounts}/bot")
        assert (await anyone("GET", "/api", headers=headers))[0] == 401

    tell(story)


@pytest.mark.parametrize(
    ("user", "token", "status"),
    [
        pytest.param("admin", "bad", 200, id="certificate-before-token"),
        pytest.param(NOBODY, "bad", 403, id="certificate-without-rights"),
        pytest.param(None, "bad", 401, id="bad-token-alone"),
    ],
)
def test_a_certificate_counts_before_a_token(
    tell: Tell, user: str | None, token: str, status: int
) -> None:
    """Upstream: the union of authenticators stops at the first that knows somebody."""

    async def story(api: Api, running: RunningApiServer) -> None:
        headers = {"authorization": f"Bearer {token}"}
        assert (await running.client(user)("GET", CONFIG_MAPS, headers=headers))[0] == status

    tell(story)


def test_who_may_only_update_makes_nothing_by_it(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
        rules = [
            {"verbs": ["update"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
        ]
        await api("POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": rules})
        subject = {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {"metadata": {"name": "b"}, "roleRef": ref, "subjects": [subject]}
        await api("POST", f"{rbac}/rolebindings", binding)
        lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
        body = {"metadata": {"name": "l"}, "spec": {}}
        as_user = {"Impersonate-User": "u"}
        answer = await api.http.request(
            "PUT",
            lease,
            headers=as_user | {"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        assert answer.status == 403
        assert (await api("PUT", lease, body))[0] == 201

    tell(story)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        pytest.param({}, 201, id="nothing"),
        pytest.param({"name": "default", "namespace": "default"}, 201, id="the-account"),
        pytest.param({"name": "other"}, 422, id="another-name"),
        pytest.param({"namespace": "other"}, 400, id="another-namespace"),
    ],
)
def test_a_token_request_names_its_account(tell: Tell, metadata: dict[str, str], code: int) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        await api("POST", accounts, {"metadata": {"name": "default"}})
        status, _ = await api("POST", f"{accounts}/default/token", {"metadata": metadata})
        assert status == code

    tell(story)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({}, ["spec.resourceAttributes", "spec.user"], id="nothing"),
        pytest.param(
            {"user": "u", "resourceAttributes": {}, "nonResourceAttributes": {"path": "/x"}},
            ["spec.nonResourceAttributes"],
            id="both",
        ),
    ],
)
def test_reviews_name_what_is_wrong(tell: Tell, spec: dict[str, Any], wanted: list[str]) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        status, answer = await api("POST", REVIEWS, {"spec": spec})
        assert (status, [c["field"] for c in answer["details"]["causes"]]) == (422, wanted)
        assert "kind" not in answer["details"]

    tell(story)


def test_the_group_of_nodes_alone_makes_no_node(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        given = {"impersonate-user": "n", "impersonate-group": "system:nodes"}
        status, answer = await api("GET", f"{CONFIG_MAPS}/a", None, given)
        assert status == 403
        assert answer["message"].endswith('in the namespace "default"')

    tell(story)
