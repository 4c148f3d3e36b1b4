"""Evictions, bindings and tokens: what they ask, what they leave, in which words they refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from support.api_server import Api, RunningApiServer, Story

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
Tell = Callable[[Story], None]


async def make_pod(api: Api, *, node: str = "", phase: str = "") -> dict[str, Any]:
    await api("POST", ACCOUNTS, {"metadata": {"name": "default"}})
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "busybox"}]}
    spec |= {"nodeName": node} if node else {}
    labels = {"app": "a"}
    body = {"metadata": {"name": "a", "labels": labels}, "spec": spec}
    status, pod = await api("POST", PODS, body)
    assert status == 201, pod
    if phase:
        pod["status"] |= {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}
        status, pod = await api("PUT", f"{PODS}/a/status", pod)
        assert status == 200, pod
    return dict(pod)


async def make_budget(api: Api, **state: Any) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    status, budget = await api("POST", BUDGETS, {"metadata": {"name": "b"}, "spec": spec})
    assert status == 201, budget
    budget["status"] |= {"observedGeneration": 1} | state
    status, budget = await api("PUT", f"{BUDGETS}/b/status", budget)
    assert status == 200, budget


def eviction(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}} | more


def test_an_evicted_pod_says_why_it_goes(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        pod = await make_pod(api, node="n", phase="Running")
        await make_budget(api, disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1)
        revision = pod["metadata"]["resourceVersion"]
        options = {"preconditions": {"resourceVersion": revision}}
        status, answer = await api("POST", f"{PODS}/a/eviction", eviction(deleteOptions=options))
        assert status == 201, answer
        _, pod = await api("GET", f"{PODS}/a")
        assert "deletionTimestamp" in pod["metadata"]
        reasons = {c["type"]: c.get("reason") for c in pod["status"]["conditions"]}
        assert reasons["DisruptionTarget"] == "EvictionByEvictionAPI"
        _, budget = await api("GET", f"{BUDGETS}/b")
        assert list(budget["status"]["disruptedPods"]) == ["a"]
        (allowed,) = budget["status"]["conditions"]
        assert (allowed["status"], allowed["reason"]) == ("False", "InsufficientPods")

    tell(story)


SYNC_FAILED = {
    "type": "DisruptionAllowed",
    "status": "False",
    "reason": "SyncFailed",
    "message": "nothing found",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        ({}, 429, "The disruption budget b needs 0 healthy pods and has 0 currently"),
        (
            {"conditions": [SYNC_FAILED]},
            429,
            "The disruption budget b does not allow evicting pods currently because it failed"
            " sync: nothing found",
        ),
        (
            {"currentHealthy": 3, "desiredHealthy": 2},
            429,
            "The disruption budget b does not allow evicting pods currently",
        ),
        (
            {"observedGeneration": 0},
            429,
            "The disruption budget b is still being processed by the server.",
        ),
    ],
)
def test_budgets_that_allow_nothing(
    tell: Tell, state: dict[str, Any], status: int, text: str
) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await make_pod(api, node="n", phase="Running")
        await make_budget(api, **state)
        got, refused = await api("POST", f"{PODS}/a/eviction", eviction())
        assert (got, refused["details"]["causes"][0]["message"]) == (status, text)

    tell(story)


OLD_UID = "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (
            f"{PODS}/a/eviction",
            eviction("other"),
            400,
            "name in URL does not match name in Eviction object",
        ),
        (
            f"{PODS}/a/eviction",
            eviction(deleteOptions={"preconditions": {"uid": OLD_UID}}),
            409,
            f'Operation cannot be fulfilled on Pod "a": the UID in the precondition ({OLD_UID})',
        ),
        (
            f"{PODS}/a/binding",
            {"metadata": {"name": "other"}, "target": {"name": "n"}},
            400,
            "name in URL does not match name in Binding object",
        ),
        (
            f"{PODS}/a/binding",
            {"metadata": {"name": "a", "uid": OLD_UID}, "target": {"name": "n"}},
            409,
            'Operation cannot be fulfilled on pods "a": StorageError: invalid object, Code: 4, Key:'
            " /pods/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in"
            f" precondition: {OLD_UID}, UID in object meta: ",
        ),
        (
            f"{ACCOUNTS}/default/token",
            {"metadata": {"uid": OLD_UID}},
            409,
            'Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "default": the UID'
            f" in the token request ({OLD_UID}) does not match the UID of the service account (",
        ),
        (
            f"{ACCOUNTS}/default/token",
            {"spec": {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "a"}}},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            f"{ACCOUNTS}/default/token",
            {"spec": {"boundObjectRef": {"kind": "Pod", "name": "a", "uid": OLD_UID}}},
            409,
            f'Operation cannot be fulfilled on Pod "a": the UID in the bound object reference'
            f" ({OLD_UID}) does not match the UID in record.",
        ),
    ],
)
def test_words_of_refusals(
    tell: Tell, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await make_pod(api)
        got, refused = await api("POST", path, body)
        assert got == status, refused
        assert refused["message"].startswith(text)

    tell(story)


def test_a_token_request_is_answered_as_it_was_with_the_account_it_is_for(tell: Tell) -> None:
    async def story(api: Api, running: RunningApiServer) -> None:
        await make_pod(api)
        _, account = await api("GET", f"{ACCOUNTS}/default")
        status, made = await api(
            "POST", f"{ACCOUNTS}/default/token", {"metadata": {"labels": {"a": "b"}}}
        )
        assert status == 201, made
        assert made["metadata"]["uid"] == account["metadata"]["uid"]
        assert made["metadata"]["labels"] == {"a": "b"}

    tell(story)
