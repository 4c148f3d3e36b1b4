"""What the authorization webhook is told, how long its answers last, and what failures do."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.apiserver.filters.authorization import Attributes, Decision
from tiphys.apiserver.filters.webhook_authorization import (
    KEPT_CHARS_MAX,
    TRIES_MAX,
    Unasked,
    WebhookAuthorizer,
    WebhookFailed,
    once_answered,
)
from tiphys.apiserver.user import User
from tiphys.lib.clock import FakeClock

JANE = User("jane", ["a", "b"], "7", {"scopes": ["x"]})
PODS = Attributes("list", resource="pods", namespace="default", version="v1")


class Webhook:
    """Gives these answers one after the other, the last one for ever."""

    def __init__(self, *answers: Any, version: str = "v1", **seconds: float) -> None:
        self.answers = list(answers)
        self.reviews: list[Any] = []
        self.clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.authorizer = WebhookAuthorizer(
            self._ask,
            self.clock,
            random.Random(1),
            version=version,
            allowed_seconds=seconds.get("allowed", 300.0),
            refused_seconds=seconds.get("refused", 30.0),
        )

    async def _ask(self, review: Any) -> Any:
        self.reviews.append(review)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, WebhookFailed):
            raise answer
        return answer

    def decide(self, asked: Attributes = PODS) -> Decision:
        return asyncio.run(self._decided(asked))

    async def _decided(self, asked: Attributes) -> Decision:
        def look() -> Decision:
            return self.authorizer.decide(JANE, asked)

        try:
            return look()
        except Unasked as unasked:
            work = asyncio.ensure_future(once_answered(look, unasked))
        while not work.done():
            self.clock.advance(1)
            await asyncio.sleep(0)
        return work.result()


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        ({"allowed": True, "reason": "may"}, Decision(True, "may")),
        ({"allowed": False}, Decision(False)),
        ({}, Decision(False)),
        ({"denied": True, "reason": "never"}, Decision(False, "never", denied=True)),
    ],
)
def test_decisions(status: Any, decision: Decision) -> None:
    assert Webhook(status).decide() == decision


def test_both_yes_and_no_is_no() -> None:
    found = Webhook({"allowed": True, "denied": True}).decide()
    assert (found.allowed, found.denied, "both" in found.error) == (False, True, True)


@pytest.mark.parametrize(("version", "groups"), [("v1", "groups"), ("v1beta1", "group")])
def test_what_it_is_told(version: str, groups: str) -> None:
    webhook = Webhook({"allowed": True}, version=version)
    webhook.decide()
    webhook.decide(Attributes("get", path="/metrics"))
    resource, path = webhook.reviews
    assert resource["apiVersion"] == f"authorization.k8s.io/{version}"
    assert resource["spec"] == {
        "user": "jane",
        groups: ["a", "b"],
        "uid": "7",
        "extra": {"scopes": ["x"]},
        "resourceAttributes": {
            "namespace": "default",
            "verb": "list",
            "version": "v1",
            "resource": "pods",
        },
    }
    assert path["spec"]["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}


@pytest.mark.parametrize(("allowed", "lasts"), [(True, 300), (False, 30)])
def test_answers_last(allowed: bool, lasts: int) -> None:
    webhook = Webhook({"allowed": allowed})
    webhook.decide()
    webhook.clock.advance(lasts - 2)
    webhook.decide()
    assert len(webhook.reviews) == 1
    webhook.clock.advance(2)
    webhook.decide()
    assert len(webhook.reviews) == 2


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(PODS, 0.0), (PODS._replace(name="x" * KEPT_CHARS_MAX), 300.0)],
    ids=["no time", "long name"],
)
def test_answers_that_serve_once(asked: Attributes, seconds: float) -> None:
    webhook = Webhook({"allowed": True}, allowed=seconds)
    assert [webhook.decide(asked).allowed for _ in range(2)] == [True, True]
    assert len(webhook.reviews) == 2


@pytest.mark.parametrize(("may_pass", "tries"), [(True, TRIES_MAX), (False, 1)])
def test_failures_allow_nothing_and_are_not_kept(may_pass: bool, tries: int) -> None:
    failed = WebhookFailed("gone", may_pass=may_pass)
    webhook = Webhook(*[failed] * tries, {"allowed": True})
    assert webhook.decide() == Decision(False, error="gone")
    assert len(webhook.reviews) == tries
    assert webhook.decide() == Decision(True)


def test_another_try_may_go_better() -> None:
    webhook = Webhook(WebhookFailed("reset", may_pass=True), {"allowed": True})
    assert webhook.decide().allowed
