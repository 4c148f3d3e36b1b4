"""Claims of ID tokens: who they make, and which are refused."""

from typing import Any

import pytest

from tiphys.apiserver.filters.oidc import OidcConfig

ISSUER = "https://issuer.example.com"
CLAIMS = {"sub": "123", "email": "jane@example.com", "teams": ["a", "b"], "one": "c", "n": 1}


def config(**fields: Any) -> OidcConfig:
    return OidcConfig(ISSUER, "me", **fields)


@pytest.mark.parametrize(
    ("fields", "claims", "name", "groups"),
    [
        ({}, {}, f"{ISSUER}#123", ()),
        ({"username_prefix": "-"}, {}, "123", ()),
        ({"username_prefix": "o:"}, {}, "o:123", ()),
        ({"username_claim": "email"}, {}, "jane@example.com", ()),
        ({"username_claim": "email"}, {"email_verified": True}, "jane@example.com", ()),
        ({"groups_claim": "teams"}, {}, f"{ISSUER}#123", ("a", "b")),
        ({"groups_claim": "teams", "groups_prefix": "g:"}, {}, f"{ISSUER}#123", ("g:a", "g:b")),
        ({"groups_claim": "one"}, {}, f"{ISSUER}#123", ("c",)),
        ({"groups_claim": "none"}, {}, f"{ISSUER}#123", ()),
        ({"required_claims": (("one", "c"),)}, {}, f"{ISSUER}#123", ()),
    ],
)
def test_a_user(
    fields: dict[str, Any], claims: dict[str, Any], name: str, groups: tuple[str, ...]
) -> None:
    user = config(**fields).issuer().user_of(CLAIMS | claims)
    assert user is not None
    assert (user.name, user.groups) == (name, (*groups, "system:authenticated"))


@pytest.mark.parametrize(
    ("fields", "claims"),
    [
        ({"username_claim": "name"}, {}),
        ({"username_claim": "n"}, {}),
        ({}, {"sub": ""}),
        ({"username_claim": "email"}, {"email_verified": False}),
        ({"username_claim": "email"}, {"email_verified": "true"}),
        ({"groups_claim": "n"}, {}),
        ({"groups_claim": "teams"}, {"teams": ["a", 1]}),
        ({"required_claims": (("one", "d"),)}, {}),
        ({"required_claims": (("n", "1"),)}, {}),
        ({"required_claims": (("missing", ""),)}, {}),
    ],
)
def test_no_user(fields: dict[str, Any], claims: dict[str, Any]) -> None:
    assert config(**fields).issuer().user_of(CLAIMS | claims) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"issuer_url": "http://x"}, "no https URL"),
        ({"client_id": ""}, "client id"),
        ({"signing_algs": ("HS256",)}, "HS256"),
        ({"signing_algs": ("none",)}, "none"),
    ],
)
def test_flags_that_cannot_be(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        OidcConfig(**({"issuer_url": ISSUER, "client_id": "me"} | fields))


def test_a_name_is_wanted() -> None:
    with pytest.raises(ValueError, match="claim or expression is required"):
        config(username_claim="").issuer()
