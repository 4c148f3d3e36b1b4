"""The file of --authentication-config: whom it makes of claims, and what is wrong with it.

Upstream: apiserver pkg/apis/apiserver/validation/validation_test.go, oidc_test.go.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.apiserver.filters.authentication_config import read
from tiphys.apiserver.filters.oidc import UserOf

Obj = dict[str, Any]
HEAD: Obj = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AuthenticationConfiguration",
}
ISSUER: Obj = {"url": "https://a.example.com", "audiences": ["me"]}
NAMED: Obj = {"username": {"claim": "sub", "prefix": "a:"}}
OWN = "https://kubernetes.default.svc"


def an_issuer(mappings: Obj | None = None, issuer: Obj | None = None, **more: Any) -> Obj:
    entry = {"issuer": ISSUER | (issuer or {}), "claimMappings": NAMED | (mappings or {})}
    return entry | more


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authentication.yaml"


def user_of(path: Path, entry: Obj) -> UserOf:
    path.write_text(json.dumps(HEAD | {"jwt": [entry]}))
    return read(path, [OWN]).issuers[0].user_of


CLAIMS = {"sub": "jane", "email": "j@example.com", "teams": ["x", "y"], "role": "r", "n": 3}


@pytest.mark.parametrize(
    ("entry", "name", "groups", "uid", "extra"),
    [
        pytest.param(an_issuer(), "a:jane", (), "", {}, id="a-claim"),
        pytest.param(
            an_issuer({"groups": {"claim": "teams", "prefix": "g:"}}),
            "a:jane", ("g:x", "g:y"), "", {}, id="groups",
        ),
        pytest.param(
            an_issuer({"groups": {"claim": "role", "prefix": ""}}),
            "a:jane", ("r",), "", {}, id="one-group-as-a-text",
        ),
        pytest.param(
            an_issuer({"uid": {"claim": "role"}}), "a:jane", (), "r", {}, id="a-uid"
        ),
        pytest.param(
            an_issuer(
                {
                    "username": {"expression": "'x:' + claims.sub"},
                    "groups": {"expression": "claims.teams.map(t, t + '!')"},
                    "uid": {"expression": "string(claims.n)"},
                    "extra": [
                        {"key": "acme.io/role", "valueExpression": "claims.role"},
                        {"key": "acme.io/none", "valueExpression": "''"},
                        {"key": "acme.io/null", "valueExpression": "null"},
                    ],
                }
            ),
            "x:jane", ("x!", "y!"), "3", {"acme.io/role": ["r"]}, id="expressions",
        ),
        pytest.param(
            an_issuer(
                claimValidationRules=[
                    {"claim": "role", "requiredValue": "r"},
                    {"expression": "claims.n < 4", "message": "too many"},
                ],
                userValidationRules=[{"expression": "!user.username.startsWith('system:')"}],
            ),
            "a:jane", (), "", {}, id="rules-that-hold",
        ),
    ],
)  # fmt: skip
def test_a_user(
    path: Path, entry: Obj, name: str, groups: tuple[str, ...], uid: str, extra: Obj
) -> None:
    user = user_of(path, entry)(CLAIMS)
    assert user is not None
    assert (user.name, user.uid, user.extra) == (name, uid, extra)
    assert user.groups == (*groups, "system:authenticated")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(an_issuer({"username": {"claim": "n", "prefix": ""}}), id="no-text"),
        pytest.param(an_issuer({"username": {"claim": "none", "prefix": ""}}), id="no-claim"),
        pytest.param(an_issuer({"username": {"expression": "''"}}), id="an-empty-name"),
        pytest.param(an_issuer({"username": {"expression": "claims.none"}}), id="no-value"),
        pytest.param(an_issuer({"groups": {"claim": "n", "prefix": ""}}), id="no-groups"),
        pytest.param(an_issuer({"groups": {"expression": "claims.n"}}), id="no-texts"),
        pytest.param(an_issuer({"uid": {"expression": "claims.n"}}), id="no-uid"),
        pytest.param(
            an_issuer(claimValidationRules=[{"claim": "role", "requiredValue": "s"}]),
            id="another-value",
        ),
        pytest.param(
            an_issuer(claimValidationRules=[{"expression": "claims.n > 3"}]), id="a-rule-of-claims"
        ),
        pytest.param(
            an_issuer(userValidationRules=[{"expression": "user.username != 'a:jane'"}]),
            id="a-rule-of-users",
        ),
    ],
)
def test_no_user(path: Path, entry: Obj) -> None:
    assert user_of(path, entry)(CLAIMS) is None


EMAIL = "claims.email_verified must be used in claimMappings.username.expression or"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([an_issuer(issuer={"url": ""})], "jwt[0].issuer.url: Required value"),
        ([an_issuer(issuer={"url": "http://a"})], "URL scheme must be https"),
        ([an_issuer(issuer={"url": "https://u@a"})], "must not contain a username or password"),
        ([an_issuer(issuer={"url": "https://a?b=c"})], "URL must not contain a query"),
        ([an_issuer(issuer={"url": "https://a#b"})], "URL must not contain a fragment"),
        ([an_issuer(issuer={"url": OWN})], f"must not overlap with disallowed issuers: [{OWN}]"),
        (
            [an_issuer(issuer={"discoveryURL": "https://a.example.com/"})],
            "discoveryURL must be different from URL",
        ),
        ([an_issuer(issuer={"audiences": []})], "jwt[0].issuer.audiences: Required value"),
        ([an_issuer(issuer={"audiences": ["a", "a"]})], 'audiences[1]: Duplicate value: "a"'),
        (
            [an_issuer(issuer={"audiences": ["a", "b"]})],
            "audienceMatchPolicy must be MatchAny for multiple audiences",
        ),
        ([an_issuer(issuer={"certificateAuthority": "x"})], 'Invalid value: "<omitted>"'),
        ([an_issuer(), an_issuer()], 'jwt[1].issuer.url: Duplicate value: "https://a.example.com"'),
        ([an_issuer({"username": {}})], "username: Required value: claim or expression is"),
        ([an_issuer({"username": {"claim": "a"}})], "username.prefix: Required value: prefix is"),
        (
            [an_issuer({"username": {"claim": "a", "prefix": "", "expression": "'a'"}})],
            "claim and expression can't both be set",
        ),
        ([an_issuer({"username": {"expression": "claims."}})], "compilation failed: "),
        ([an_issuer({"username": {"expression": "claims.email"}})], EMAIL),
        ([an_issuer({"username": {"expression": "claims.?email.orValue('')"}})], EMAIL),
        (
            [an_issuer({"extra": [{"key": "a", "valueExpression": "''"}]})],
            "must be a domain-prefixed path",
        ),
        (
            [an_issuer({"extra": [{"key": "x.k8s.io/a", "valueExpression": "''"}]})],
            "k8s.io, kubernetes.io and their subdomains are reserved",
        ),
        ([an_issuer(claimValidationRules=[{}])], "claimValidationRules[0]: Required value"),
        (
            [an_issuer(claimValidationRules=[{"expression": "claims.sub"}])],
            "must evaluate to bool",
        ),
        ([an_issuer(userValidationRules=[{}])], "userValidationRules[0].expression: Required"),
        ([an_issuer(odd=1)], 'unknown field "jwt[0].odd"'),
        ([an_issuer(issuer={"url": 1})], "jwt[0].issuer.url is no text"),
        ([1], "jwt[0] is no object"),
        ([an_issuer(), None], "jwt[1] is null"),
        ([an_issuer({"extra": [None]})], "jwt[0].claimMappings.extra[0] is null"),
    ],
)
def test_entries_that_cannot_be(path: Path, entries: list[Any], why: str) -> None:
    path.write_text(json.dumps(HEAD | {"jwt": entries}))
    with pytest.raises(ValueError, match=r"authentication\.yaml: ") as refused:
        read(path, [OWN])
    assert why in str(refused.value)


def test_an_address_that_is_looked_at(path: Path) -> None:
    username = {"expression": "claims.email_verified ? claims.email : ''"}
    found = user_of(path, an_issuer({"username": username}))
    assert found(CLAIMS | {"email_verified": False}) is None
    user = found(CLAIMS | {"email_verified": True})
    assert user is not None
    assert user.name == "j@example.com"


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        pytest.param(None, None, id="nothing-said"),
        pytest.param({"enabled": True}, None, id="everywhere"),
        pytest.param({"enabled": False}, frozenset(), id="nowhere"),
        pytest.param(
            {"enabled": True, "conditions": [{"path": "/livez"}]}, {"/livez"}, id="somewhere"
        ),
    ],
)
def test_where_nobody_is_let_in(path: Path, said: Any, paths: Any) -> None:
    path.write_text(json.dumps(HEAD | {"anonymous": said}))
    assert read(path, []).anonymous_paths == paths


def test_files_that_are_none(path: Path) -> None:
    for text, why in (("{", "yaml"), ("kind: Pod", "is no AuthenticationConfiguration")):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            read(path, [])
