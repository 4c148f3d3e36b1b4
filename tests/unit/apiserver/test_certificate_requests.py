"""CertificateSigningRequests: who asks, what their parts may change, who may approve and sign."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.errors import Forbidden
from tiphys.apiserver.admission.certificate_approval import CertificateApproval
from tiphys.apiserver.admission.certificate_signing import CertificateSigning
from tiphys.apiserver.admission.certificate_subject_restriction import CertificateSubjectRestriction
from tiphys.apiserver.admission.chain import Operation, Validating, Write
from tiphys.apiserver.filters.authorization import Attributes, Decision, RbacAuthorizer
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.resources.certificates import rules
from tiphys.apiserver.resources.certificates.certificate_signing_request import (
    before_create,
    before_status_update,
    note_request,
)
from tiphys.apiserver.user import User
from tiphys.lib import certificate_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = certificate_request.new_key()
SIGNER = "kubernetes.io/kube-apiserver-client"
APPROVED = {"type": "Approved", "status": "True"}
DENIED = {"type": "Denied", "status": "True"}
FAILED = {"type": "Failed", "status": "True"}


def a_request(
    organizations: tuple[str, ...] = ("g",), status: Any = None, **spec: Any
) -> dict[str, Any]:
    pem = certificate_request.make(KEY, "u", organizations)
    given = {"request": base64.b64encode(pem).decode(), "signerName": SIGNER}
    return {
        "metadata": {"name": "r"},
        "spec": given | {"usages": ["client auth"]} | spec,
        "status": status or {},
    }


def test_who_asks_is_not_what_they_say() -> None:
    request = a_request(username="admin", groups=["system:masters"])
    before_create(request)
    note_request(request, None, User("me", ("a", "b"), "7", {"k": ("v",)}), NOW)
    found = {k: request["spec"].get(k) for k in ("username", "groups", "uid", "extra")}
    assert found == {"username": "me", "groups": ["a", "b"], "uid": "7", "extra": {"k": ["v"]}}


def test_conditions_get_their_times_once() -> None:
    old = a_request(status={"conditions": [APPROVED | {"lastTransitionTime": "T"}]})
    new = a_request(status={"conditions": [dict(APPROVED), dict(FAILED)]})
    note_request(new, old, User("me", ()), NOW)
    assert [c["lastTransitionTime"] for c in new["status"]["conditions"]] == [
        "T",
        "2026-01-01T00:00:00Z",
    ]


def texts(errors: Any) -> list[str]:
    return [str(e) for e in errors]


CERTIFICATE = base64.b64encode(b"no certificate").decode()


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ([APPROVED], [APPROVED], []),
        ([APPROVED, FAILED], [APPROVED], []),
        ([APPROVED], [], ['updates may not add a condition of type "Approved"']),
        ([], [DENIED], ['updates may not remove a condition of type "Denied"']),
        ([], [FAILED], ['updates may not remove a condition of type "Failed"']),
    ],
)
def test_who_signs_does_not_approve(new: Any, old: Any, expected: list[str]) -> None:
    found = rules.validate_status(
        a_request(status={"conditions": new}), a_request(status={"conditions": old})
    )
    assert texts(found) == [f"status.conditions: Forbidden: {e}" for e in expected]


def test_an_approval_is_kept_as_it_was_given() -> None:
    old = a_request(status={"conditions": [APPROVED | {"reason": "given"}]})
    new = a_request(status={"conditions": [FAILED, APPROVED | {"reason": "changed"}]})
    before_status_update(new, old)
    assert new["status"]["conditions"] == [FAILED, APPROVED | {"reason": "given"}]


def test_approval_and_denial_exclude_each_other() -> None:
    request = a_request(status={"conditions": [APPROVED, DENIED]})
    text = "Approved and Denied conditions are mutually exclusive"
    assert text in str(texts(rules.validate(request)))


def test_a_certificate_is_one_and_stays() -> None:
    signed = a_request(status={"certificate": CERTIFICATE})
    assert texts(rules.validate_status(signed, a_request())) == [
        'status.certificate: Invalid value: "<certificate data>": must contain at least one '
        "CERTIFICATE PEM block"
    ]
    found = texts(rules.validate_status(a_request(), signed))
    assert found == [
        "status.certificate: Forbidden: updates may not modify existing certificate content"
    ]


def test_a_request_must_be_signed_by_its_own_key() -> None:
    other = certificate_request.new_key()
    pem = certificate_request.make(other, "u", ["g"])
    der = base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))
    broken = der[:-2] + bytes([der[-2] ^ 1, der[-1]])
    block = base64.b64encode(broken)
    text = b"-----BEGIN CERTIFICATE REQUEST-----\n%b\n-----END CERTIFICATE REQUEST-----\n" % block
    found = texts(rules.validate(a_request(request=base64.b64encode(text).decode())))
    assert any("signature" in text for text in found)


class Rights(RbacAuthorizer):
    """Somebody who may use a verb on one signer."""

    def __init__(self, verb: str, name: str) -> None:
        self._allowed = (verb, name)

    def decide(self, user: User, asked: Attributes) -> Decision:
        return Decision(asked.resource == "signers" and (asked.verb, asked.name) == self._allowed)


def judged(plugin: Validating, operation: Operation, subresource: str, new: Any, old: Any) -> str:
    info = RequestInfo(
        "", "x", True, "certificates.k8s.io", "v1", "", "certificatesigningrequests", subresource
    )
    try:
        plugin.validate(Write(operation, info, User("me", ()), "", new, old, []))
    except Forbidden as refused:
        return refused.message
    return ""


@pytest.mark.parametrize(
    ("verb", "name", "why"),
    [
        ("approve", SIGNER, ""),
        ("approve", "kubernetes.io/*", ""),
        ("approve", "example.com/*", "user not permitted to approve requests with signerName"),
        ("sign", SIGNER, "user not permitted to approve requests with signerName"),
    ],
)
def test_who_may_approve(verb: str, name: str, why: str) -> None:
    found = judged(
        CertificateApproval(Rights(verb, name)), "UPDATE", "approval", a_request(), a_request()
    )
    assert why in found if why else not found


def test_who_may_sign() -> None:
    signed = a_request(status={"certificate": "x"})
    nobody, signer = Rights("approve", SIGNER), Rights("sign", SIGNER)
    assert not judged(CertificateSigning(signer), "UPDATE", "status", signed, a_request())
    text = judged(CertificateSigning(nobody), "UPDATE", "status", signed, a_request())
    assert f'user not permitted to sign requests with signerName "{SIGNER}"' in text
    assert not judged(CertificateSigning(nobody), "UPDATE", "status", signed, signed)


@pytest.mark.parametrize(
    ("groups", "signer", "refused"),
    [
        (("system:masters",), SIGNER, True),
        (("a", "system:masters"), SIGNER, True),
        (("a",), SIGNER, False),
        (("system:masters",), "example.com/s", False),
    ],
)
def test_nobody_becomes_a_master(groups: tuple[str, ...], signer: str, *, refused: bool) -> None:
    request = a_request(groups, signerName=signer)
    found = judged(CertificateSubjectRestriction(), "CREATE", "", request, None)
    assert ("with system:masters group is not allowed" in found) is refused
