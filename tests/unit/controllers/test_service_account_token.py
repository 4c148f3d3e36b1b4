"""What a Secret of a ServiceAccount's token holds."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tiphys.api.meta import Obj
from tiphys.controllers import service_account_token as tokens

SIGNER = tokens.TokenSigner(ec.generate_private_key(ec.SECP256R1()))
ACCOUNT: Obj = {"metadata": {"name": "a", "namespace": "ns", "uid": "u"}}


def a_secret(**annotations: str) -> Obj:
    return {"metadata": {"name": "t", "namespace": "ns", "annotations": annotations}}


def test_a_secret_is_filled_once() -> None:
    secret = tokens.filled(a_secret(), ACCOUNT, b"CA", SIGNER)
    assert secret is not None
    data = {k: base64.b64decode(v).decode() for k, v in secret["data"].items()}
    assert (data["ca.crt"], data["namespace"]) == ("CA", "ns")
    claims = jwt.decode(data["token"], SIGNER.key.public_key(), algorithms=["ES256"])
    assert claims == tokens.claims_of(ACCOUNT, secret)
    assert secret["metadata"]["annotations"] == {tokens.ACCOUNT_UID: "u"}
    assert tokens.filled(secret, ACCOUNT, b"CA", SIGNER) is None
    renewed = tokens.filled(secret, ACCOUNT, b"another CA", SIGNER)
    assert renewed is not None
    assert renewed["data"]["token"] == secret["data"]["token"]


@pytest.mark.parametrize(
    ("annotations", "belongs"),
    [
        pytest.param({}, True, id="not-filled-yet"),
        pytest.param({tokens.ACCOUNT_UID: "u"}, True, id="the-same"),
        pytest.param({tokens.ACCOUNT_UID: "before"}, False, id="an-account-made-anew"),
    ],
)
def test_whose_secret_it_is(annotations: dict[str, str], belongs: bool) -> None:
    assert tokens.belongs_to(a_secret(**annotations), ACCOUNT) is belongs
