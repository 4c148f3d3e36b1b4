"""Bootstrap tokens: their form, what a Secret says of them, their signature."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api import bootstrap_token as tokens

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_secret(**data: str) -> dict[str, Any]:
    encoded = {k.replace("_", "-"): base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return {"metadata": {"name": "bootstrap-token-abcdef"}, "type": tokens.TYPE, "data": encoded}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("abcdef.0123456789abcdef", ("abcdef", "0123456789abcdef")),
        ("abcde.0123456789abcdef", None),
        ("ABCDEF.0123456789abcdef", None),
        ("abcdef.0123456789abcdef0", None),
        ("abcdef0123456789abcdef", None),
        ("abcdef.0123456789abcdef\n", None),
        ("", None),
    ],
)
def test_the_form_of_a_token(text: str, parts: tuple[str, str] | None) -> None:
    assert tokens.split(text) == parts


@pytest.mark.parametrize(
    ("expiration", "expired"),
    [
        ("", False),
        ("2026-01-02T03:04:06Z", False),
        ("2026-01-02T03:04:05Z", True),
        ("tomorrow", True),
    ],
)
def test_an_end_that_cannot_be_read_has_passed(expiration: str, expired: bool) -> None:
    assert tokens.has_expired(a_secret(expiration=expiration), NOW) is expired


@pytest.mark.parametrize(
    ("extra", "groups"),
    [
        ("", ["system:bootstrappers"]),
        (
            "system:bootstrappers:b,system:bootstrappers:a",
            ["system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b"],
        ),
        ("system:masters", None),
        ("system:bootstrappers:a,system:nodes", None),
    ],
)
def test_a_token_gives_no_group_but_its_own_kind(extra: str, groups: list[str] | None) -> None:
    assert tokens.groups_of(a_secret(auth_extra_groups=extra)) == groups


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (
            "Hello from the other side. I must have called a thousand times.",
            "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
        ),
        ("", "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"),
    ],
)
def test_the_signature_is_upstreams(content: str, digest: str) -> None:
    """The vectors of cluster-bootstrap token/jws/jws_test.go."""
    found = tokens.signature(content, "joshua", "my voice is my passcode")
    assert found == f"eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..{digest}"


def test_the_name_must_be_that_of_the_id() -> None:
    assert tokens.is_named_rightly(a_secret(token_id="abcdef"))
    assert not tokens.is_named_rightly(a_secret(token_id="abcdeg"))
