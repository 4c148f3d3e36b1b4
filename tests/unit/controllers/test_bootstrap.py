"""Bootstrap signer and token cleaner: what cluster-info carries, which tokens go."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.bootstrap_token import TYPE, signature
from tiphys.controllers.bootstrap_signer import signed, signing_tokens
from tiphys.controllers.token_cleaner import seconds_left

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_secret(namespace: str = "kube-system", kind: str = TYPE, **data: str) -> dict[str, Any]:
    given = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
    } | {k.replace("_", "-"): v for k, v in data.items()}
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in given.items()}
    metadata = {"name": "bootstrap-token-abcdef", "namespace": namespace}
    return {"metadata": metadata, "type": kind, "data": encoded}


def test_signatures_of_tokens_that_are_gone_go_too() -> None:
    data = {"kubeconfig": "k", "jws-kubeconfig-gone00": "old", "other": "stays"}
    assert signed(data, {"abcdef": "s"}) == {
        "kubeconfig": "k",
        "other": "stays",
        "jws-kubeconfig-abcdef": signature("k", "abcdef", "s"),
    }
    assert signed({"jws-kubeconfig-gone00": "old"}, {"abcdef": "s"}) == {}


@pytest.mark.parametrize(
    "secret",
    [
        a_secret(namespace="default"),
        a_secret(kind="Opaque"),
        a_secret(usage_bootstrap_signing="false"),
        a_secret(expiration="2026-01-01T12:00:00Z"),
        a_secret(token_id="another"),
        a_secret(token_secret=""),
    ],
)
def test_which_tokens_are_not_signed_with(secret: Any) -> None:
    assert signing_tokens([a_secret()], NOW) == {"abcdef": "0123456789abcdef"}
    assert signing_tokens([secret], NOW) == {}


@pytest.mark.parametrize(
    ("expiration", "left"),
    [("", None), ("2026-01-01T12:00:09Z", 9.0), ("2026-01-01T11:00:00Z", 0.0), ("soon", 0.0)],
)
def test_when_a_token_goes(expiration: str, left: float | None) -> None:
    assert seconds_left(a_secret(expiration=expiration), NOW) == left
