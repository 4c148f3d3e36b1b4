"""Requests for certificates: who is approved, what is signed, when a request goes."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.throwaway_pki import Authority as ThrowAway
from tiphys.controllers import certificate_rules as rules
from tiphys.controllers.certificate_approving import rights_for
from tiphys.controllers.certificate_authority import Authority, period
from tiphys.controllers.certificate_cleaner import due
from tiphys.controllers.certificate_signing import life_of
from tiphys.controllers.kubelet_serving_approving import Claims, claims_of, refusal
from tiphys.lib import certificate_request

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLIENT = ["digital signature", "client auth"]
SERVING = ["digital signature", "server auth"]
KEY = certificate_request.new_key()


def a_request(
    user: str = "system:node:n",
    organizations: tuple[str, ...] = ("system:nodes",),
    names: tuple[str, ...] = (),
    **spec: Any,
) -> dict[str, Any]:
    """user and organizations are in the request; spec is what the API server knows."""
    pem = certificate_request.make(KEY, user, organizations, names)
    given = {
        "request": base64.b64encode(pem).decode(),
        "signerName": rules.KUBELET_CLIENT,
        "usages": CLIENT,
        "username": user,
        "groups": ["system:nodes", "system:authenticated"],
    }
    metadata = {"name": "csr-x", "creationTimestamp": "2026-01-01T12:00:00Z"}
    return {"metadata": metadata, "spec": given | spec, "status": {}}


def asked(request: dict[str, Any]) -> x509.CertificateSigningRequest:
    return certificate_request.parse(base64.b64decode(request["spec"]["request"]))


@pytest.mark.parametrize(
    ("request_", "usages", "why"),
    [
        (a_request(), CLIENT, ""),
        (a_request(), [*CLIENT, "key encipherment"], ""),
        (a_request(organizations=()), CLIENT, "subject organization is not system:nodes"),
        (
            a_request(organizations=("system:nodes", "system:masters")),
            CLIENT,
            "subject organization is not system:nodes",
        ),
        (a_request(user="me"), CLIENT, "subject common name does not begin with system:node:"),
        (a_request(names=("n",)), CLIENT, "DNS subjectAltNames are not allowed"),
        (a_request(names=("10.0.0.1",)), CLIENT, "IP subjectAltNames are not allowed"),
        (
            a_request(),
            SERVING,
            "usages did not match [client auth digital signature key encipherment]",
        ),
    ],
)
def test_a_kubelets_client_certificate(request_: Any, usages: list[str], why: str) -> None:
    assert rules.kubelet_client_error(asked(request_), usages) == why


@pytest.mark.parametrize(
    ("request_", "rights"),
    [
        pytest.param(a_request(), ["selfnodeclient", "nodeclient"], id="a node renews its own"),
        pytest.param(
            a_request(username="system:bootstrap:abcdef"), ["nodeclient"], id="a machine joins"
        ),
        pytest.param(
            a_request(username="system:node:other"), ["nodeclient"], id="a node asks for another"
        ),
        pytest.param(a_request(signerName=rules.API_CLIENT), [], id="another signer"),
        pytest.param(a_request(organizations=("system:masters",)), [], id="another group"),
    ],
)
def test_which_rights_let_a_request_be_approved(request_: Any, rights: list[str]) -> None:
    assert rights_for(request_) == rights


CLAIMS = Claims(frozenset({"10.0.0.7", "n"}), frozenset({"10.0.0.8", "10.96.0.1"}))


def serving(*names: str, **spec: Any) -> dict[str, Any]:
    user = spec.pop("user", "system:node:n")
    return a_request(
        user=user, names=names, **{"signerName": rules.KUBELET_SERVING, "usages": SERVING} | spec
    )


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (serving("n", "10.0.0.7"), ""),
        (serving("10.0.0.7"), ""),
        (serving("n", "10.0.0.8"), "10.0.0.8 is somebody else's"),
        (serving("n", "10.96.0.1"), "10.96.0.1 is somebody else's"),
        (serving("n", "127.0.0.1"), "127.0.0.1 is somebody else's"),
        (serving("n", "10.0.0.9"), "the node has no address 10.0.0.9"),
        (serving("n", "kubernetes"), "it names another host"),
        (serving("kubernetes.default.svc", user="system:node:kubernetes.default.svc"), "server"),
        (serving("a.b.svc", user="system:node:a.b.svc"), "server"),
        (serving("localhost", user="system:node:localhost"), "server"),
        (serving("n", username="system:node:other"), "only the node itself may ask"),
        (serving("n", username="system:bootstrap:abcdef", groups=[]), "only the node itself"),
        (serving("n", groups=[]), "only the node itself may ask"),
        (serving(), "DNS or IP subjectAltName is required"),
    ],
)
def test_a_node_may_only_pose_as_itself(request_: Any, why: str) -> None:
    found = refusal(request_, CLAIMS)
    assert found == why if not why else why in found


def test_an_address_that_two_claim_is_nobodys() -> None:
    def node(name: str, address: str) -> dict[str, Any]:
        addresses = [{"type": "InternalIP", "address": address}]
        return {"metadata": {"name": name}, "status": {"addresses": addresses}}

    service = {"metadata": {"name": "s"}, "spec": {"clusterIPs": ["10.96.0.9"]}}
    piece = {
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "endpoints": [{"addresses": ["172.31.0.1"]}],
    }
    claims = claims_of("n", [node("n", "10.0.0.8"), node("m", "10.0.0.8")], [service], [piece])
    assert claims == Claims(
        frozenset({"10.0.0.8"}), frozenset({"10.0.0.8", "10.96.0.9", "172.31.0.1"})
    )
    assert refusal(serving("n", "10.0.0.8"), claims) == "10.0.0.8 is somebody else's"


def test_what_is_signed(tmp_path: Any) -> None:
    throw_away = ThrowAway(tmp_path)
    authority = Authority(throw_away.cert, throw_away.key)
    pem = authority.sign(asked(serving("n", "10.0.0.7")), SERVING, timedelta(hours=1), NOW)
    found = x509.load_pem_x509_certificate(pem)
    found.verify_directly_issued_by(throw_away.cert)
    name = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    extensions = found.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert (name, [str(n.value) for n in names]) == ("system:node:n", ["n", "10.0.0.7"])
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_who_asks_for_no_use_of_the_key_gets_no_limit_of_it(tmp_path: Any) -> None:
    """As Go leaves the extension out; one without any bit would be good for nothing."""
    throw_away = ThrowAway(tmp_path)
    authority = Authority(throw_away.cert, throw_away.key)
    for usages, limited in ((["client auth"], False), (["client auth", "digital signature"], True)):
        pem = authority.sign(asked(a_request()), usages, timedelta(hours=1), NOW)
        extensions = x509.load_pem_x509_certificate(pem).extensions
        assert any(isinstance(e.value, x509.KeyUsage) for e in extensions) is limited


END = NOW + timedelta(days=3650)


@pytest.mark.parametrize(
    ("life", "end", "until"),
    [
        (timedelta(hours=1), END, NOW + timedelta(hours=1)),
        (timedelta(days=365), END, NOW + timedelta(days=365) - timedelta(minutes=5)),
        (timedelta(days=365), NOW + timedelta(days=2), NOW + timedelta(days=2)),
    ],
)
def test_how_long_a_certificate_is_valid(life: timedelta, end: datetime, until: datetime) -> None:
    assert period(life, NOW, end) == (NOW - timedelta(minutes=5), until)


@pytest.mark.parametrize(
    ("seconds", "life"), [(None, 86400), (3600, 3600), (10**9, 86400), (1, 600)]
)
def test_a_life_is_as_asked_within_bounds(seconds: int | None, life: int) -> None:
    request = a_request() if seconds is None else a_request(expirationSeconds=seconds)
    assert life_of(request, timedelta(days=1)) == timedelta(seconds=life)


@pytest.mark.parametrize(
    ("conditions", "hours"),
    [
        ([], 24),
        ([{"type": "Approved", "lastUpdateTime": "2026-01-01T13:00:00Z"}], 2),
        ([{"type": "Denied", "lastUpdateTime": "2026-01-01T12:00:00Z"}], 1),
    ],
)
def test_when_a_request_goes(conditions: list[Any], hours: int) -> None:
    request = a_request() | {"status": {"conditions": conditions}}
    assert due(request) == NOW + timedelta(hours=hours)
