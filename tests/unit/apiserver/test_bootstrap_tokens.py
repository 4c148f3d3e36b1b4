"""Whose a bootstrap token is: only what the Secret says right now counts."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.bootstrap_token import TYPE
from tiphys.apiserver.filters.bootstrap_tokens import BootstrapTokens
from tiphys.lib.clock import FakeClock
from tiphys.storage.backend import KeyValue
from tiphys.storage.cached_object import encode_head, encode_value
from tiphys.storage.watch_cache import WatchCache

TOKEN = "abcdef.0123456789abcdef"
PREFIX = "/registry/secrets/"
GOOD = {
    "token-id": "abcdef",
    "token-secret": "0123456789abcdef",
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
}


def user_of(token: str, secret: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    cache = WatchCache(PREFIX, encode_head("v1", "Secret"), lambda obj: ({}, {}))
    cache.load(
        [KeyValue(f"{PREFIX}kube-system/bootstrap-token-abcdef", encode_value(secret), 2)], 2
    )
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    user = BootstrapTokens(cache, clock).user_of(token)
    return None if user is None else (user.name, user.groups)


def a_secret(kind: str = TYPE, metadata: dict[str, Any] | None = None, **changed: str) -> Any:
    data = GOOD | {k.replace("_", "-"): v for k, v in changed.items()}
    named = {"name": "bootstrap-token-abcdef", "namespace": "kube-system"} | (metadata or {})
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return {"kind": "Secret", "apiVersion": "v1", "metadata": named, "type": kind, "data": encoded}


def test_the_user_is_the_token_and_has_its_groups() -> None:
    assert user_of(TOKEN, a_secret()) == (
        "system:bootstrap:abcdef",
        (
            "system:bootstrappers",
            "system:bootstrappers:kubeadm:default-node-token",
            "system:authenticated",
        ),
    )


@pytest.mark.parametrize(
    ("token", "secret"),
    [
        pytest.param("abcdef.0123456789abcdee", a_secret(), id="another secret part"),
        pytest.param("abcdeg.0123456789abcdef", a_secret(), id="another id"),
        pytest.param("something", a_secret(), id="no token at all"),
        pytest.param(TOKEN, a_secret(kind="Opaque"), id="a Secret of another type"),
        pytest.param(TOKEN, a_secret(token_id="abcdeg"), id="a Secret of another id"),
        pytest.param(TOKEN, a_secret(expiration="2025-12-31T23:59:59Z"), id="ended"),
        pytest.param(TOKEN, a_secret(usage_bootstrap_authentication="false"), id="for signing"),
        pytest.param(TOKEN, a_secret(auth_extra_groups="system:masters"), id="a forbidden group"),
        pytest.param(
            TOKEN, a_secret(metadata={"deletionTimestamp": "2025-01-01T00:00:00Z"}), id="deleted"
        ),
    ],
)
def test_what_is_wrong_gives_no_user(token: str, secret: Any) -> None:
    assert user_of(token, secret) is None
