"""ID tokens of an issuer that serves its keys over HTTPS."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from support.api_server import Api, memory_backend, start
from support.throwaway_pki import Authority
from support.waiting import until
from tiphys.apiserver.filters import oidc_keys
from tiphys.lib import tls
from tiphys.lib.http.client import HttpClient
from tiphys.lib.http.message import Request, Response, text_response
from tiphys.lib.http.server import HttpServer

REVIEWS = "/apis/authentication.k8s.io/v1"


class Issuer:
    """Serves its discovery document and the keys that it has now."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "issuer", "issuer-ca")
        context = tls.server_context(*self.authority.issue("issuer", server=True))
        self.http = HttpServer(self._handle, tls=context)
        self.url = ""
        self.asked = 0
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.keys = [RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True) | {"kid": "r"}]

    def add_ec_key(self) -> None:
        self.keys.append(ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True) | {"kid": "e"})

    async def listen(self) -> None:
        self.url = f"https://127.0.0.1:{await self.http.listen('127.0.0.1', 0)}"

    def token(self, key: str = "r", **changes: Any) -> str:
        claims = {
            "iss": self.url,
            "aud": "me",
            "sub": "jane",
            "exp": int(time.time()) + 600,
            "groups": ["team"],
        } | changes
        secret: Any = self.rsa if key == "r" else self.ec
        algorithm = "RS256" if key == "r" else "ES256"
        return jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": key})

    def _handle(self, request: Request) -> Response:
        self.asked += 1
        if request.path == "/.well-known/openid-configuration":
            found: Any = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        elif request.path == "/keys":
            found = {"keys": self.keys}
        else:
            return text_response(404, "")
        return Response(200, json.dumps(found).encode(), (("Content-Type", "application/json"),))


Story = Callable[[Api, Api, Issuer], Coroutine[Any, Any, None]]


def with_issuer(directory: Path, story: Story) -> None:
    async def whole() -> None:
        issuer = Issuer(directory)
        await issuer.listen()
        running, listening = await start(
            directory,
            memory_backend(),
            oidc_issuer_url=issuer.url,
            oidc_client_id="me",
            oidc_groups_claim="groups",
            oidc_username_prefix="oidc:",
            oidc_signing_algs=("RS256", "PS256", "RS384", "ES256"),
            oidc_ca_file=issuer.authority.path,
        )
        tls_context = tls.client_context(running.authority.path)
        anybody = Api(HttpClient(f"https://127.0.0.1:{running.port}", tls=tls_context))
        try:
            async with asyncio.timeout(40):
                await until(lambda: issuer.asked >= 2)
                await story(running.client(), anybody, issuer)
        finally:
            await listening.__aexit__()
            await issuer.http.stop()

    uvloop.run(whole())


async def who(api: Api, token: str) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {token}"}
    code, review = await api("POST", f"{REVIEWS}/selfsubjectreviews", {"metadata": {}}, headers)
    return code, review["status"]["userInfo"] if code == 201 else None


def test_whose_token_it_is(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, issuer: Issuer) -> None:
        async def is_known() -> bool:
            return (await who(api, issuer.token()))[0] == 201

        await until(is_known)
        code, user = await who(api, issuer.token(jti="77"))
        assert (code, user["username"]) == (201, "oidc:jane")
        assert user["groups"] == ["team", "system:authenticated"]
        assert user["extra"] == {"authentication.kubernetes.io/credential-id": ["JTI=77"]}
        binding = {
            "metadata": {"name": "team"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [{"kind": "Group", "name": "team"}],
        }
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        assert (await admin("POST", path, binding))[0] == 201
        headers = {"authorization": f"Bearer {issuer.token()}"}
        assert (await api("GET", "/api/v1/pods", headers=headers))[0] == 200
        assert (await api("GET", "/api/v1/secrets", headers=headers))[0] == 403
        _, review = await admin(
            "POST", f"{REVIEWS}/tokenreviews", {"spec": {"token": issuer.token()}}
        )
        assert review["status"]["user"]["username"] == "oidc:jane"

    with_issuer(tmp_path, story)


def test_tokens_that_are_refused(tmp_path: Path) -> None:
    async def story(admin: Api, api: Api, issuer: Issuer) -> None:
        async def is_known() -> bool:
            return (await who(api, issuer.token()))[0] == 201

        await until(is_known)
        good = issuer.token()
        head, body, signature = good.split(".")
        other = jwt.encode(
            {"iss": issuer.url, "aud": "me", "sub": "jane", "exp": int(time.time()) + 600},
            rsa.generate_private_key(65537, 2048),
            algorithm="RS256",
            headers={"kid": "r"},
        )
        unsigned = jwt.encode(
            {"iss": issuer.url, "aud": "me", "sub": "jane", "exp": int(time.time()) + 600},
            "",
            algorithm="none",
            headers={"kid": "r"},
        )
        for token in (
            issuer.token(aud="others"),
            issuer.token(iss="https://elsewhere"),
            issuer.token(exp=int(time.time()) - 1),
            issuer.token(nbf=int(time.time()) + 3600),
            issuer.token(exp="tomorrow"),
            issuer.token(sub=""),
            f"{head}.{body}.{signature[:-8]}AAAAAAAA",
            other,
            unsigned,
            "x.y.z",
        ):
            assert (await who(api, token))[0] == 401

    with_issuer(tmp_path, story)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "PS256", "RS512", "PS384"])
def test_a_key_need_not_say_its_algorithm(tmp_path: Path, algorithm: str) -> None:
    async def story(admin: Api, api: Api, issuer: Issuer) -> None:
        async def is_known() -> bool:
            return (await who(api, issuer.token()))[0] == 201

        issuer.keys[0].pop("alg", None)
        await until(is_known)
        claims = jwt.decode(issuer.token(), options={"verify_signature": False})
        token = jwt.encode(claims, issuer.rsa, algorithm=algorithm, headers={"kid": "r"})
        wanted = 201 if algorithm in {"RS256", "RS384", "PS256"} else 401
        assert (await who(api, token))[0] == wanted

    with_issuer(tmp_path, story)


def test_a_new_key_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc_keys, "RETRY_SECONDS", 0.1)

    async def story(admin: Api, api: Api, issuer: Issuer) -> None:
        issuer.add_ec_key()

        async def is_known() -> bool:
            return (await who(api, issuer.token("e")))[0] == 201

        await until(is_known)

    with_issuer(tmp_path, story)


def test_two_issuers_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "authentication.yaml"

    def entry(issuer: Issuer, prefix: str) -> dict[str, Any]:
        return {
            "issuer": {
                "url": issuer.url,
                "audiences": ["me", "others"],
                "audienceMatchPolicy": "MatchAny",
                "certificateAuthority": issuer.authority.path.read_text(),
            },
            "claimMappings": {"username": {"expression": f"'{prefix}' + claims.sub"}},
        }

    async def story() -> None:
        issuers = [Issuer(tmp_path / name) for name in "ab"]
        for issuer in issuers:
            await issuer.listen()
        config = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [entry(issuer, f"{n}:") for n, issuer in enumerate(issuers)],
            "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}]},
        }
        path.write_text(json.dumps(config))
        running, listening = await start(tmp_path, memory_backend(), authentication_config=path)
        api = running.client(None)
        async with asyncio.timeout(40):
            for number, issuer in enumerate(issuers):

                async def is_known(token: str) -> bool:
                    return (await who(api, token))[0] == 201

                token = issuer.token(aud="others")
                await until(partial(is_known, token))
                assert (await who(api, token))[1]["username"] == f"{number}:jane"
                assert (await who(api, issuer.token(aud="nobody")))[0] == 401
            assert (await api("GET", "/livez"))[0] == 200
            assert (await api("GET", "/readyz"))[0] == 401
        await listening.__aexit__()
        for issuer in issuers:
            await issuer.http.stop()

    uvloop.run(story())


def test_a_file_and_flags_exclude_each_other(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(ValueError, match="mutually exclusive"):
            await start(
                tmp_path,
                memory_backend(),
                oidc_issuer_url="https://a.example.com",
                oidc_client_id="me",
                authentication_config=tmp_path / "file",
            )

    uvloop.run(story())
