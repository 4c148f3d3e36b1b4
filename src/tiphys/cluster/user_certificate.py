"""A client certificate for a user, asked for, approved and signed as any other of the cluster.

Source: the documentation page "Certificate Signing Requests"; signer kube-apiserver-client.
"""

import base64
import time
from typing import Final

from tiphys.api.meta import GroupVersionResource, Obj, at, name_of
from tiphys.cli.kubectl.client import KubeClient, path_of
from tiphys.cli.output import CommandError
from tiphys.lib import certificate_request

REQUESTS: Final = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")
SIGNER: Final = "kubernetes.io/kube-apiserver-client"
SIGNED_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.05


def obtain(kube: KubeClient, user: str, days: int) -> tuple[bytes, bytes]:
    """(certificate, key), PEM. The request goes when it has been answered.

    Raises ApiError, CommandError, Unreachable.
    """
    key = certificate_request.new_key()
    request = _request(certificate_request.make(key, user, []), days)
    made = kube.request("POST", path_of(REQUESTS, ""), request)
    try:
        certificate = _signed(kube, made)
    finally:
        kube.request("DELETE", path_of(REQUESTS, "", name_of(made)))
    return certificate, certificate_request.key_pem(key)


def _request(pem: bytes, days: int) -> Obj:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "team-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": SIGNER,
            "usages": ["client auth"],
            "expirationSeconds": days * 86400,
        },
    }


def _signed(kube: KubeClient, made: Obj) -> bytes:
    approved = {
        "type": "Approved",
        "status": "True",
        "reason": "TeamNamespace",
        "message": "by tiphys namespace create",
    }
    made["status"] = {"conditions": [approved]}
    path = path_of(REQUESTS, "", name_of(made))
    kube.request("PUT", f"{path}/approval", made)
    deadline = time.monotonic() + SIGNED_SECONDS_MAX
    while time.monotonic() < deadline:
        certificate = at(kube.request("GET", path), "status", "certificate")
        if certificate:
            return base64.b64decode(certificate)
        time.sleep(_POLL_SECONDS)
    raise CommandError(
        f"the request {name_of(made)} was not signed in {SIGNED_SECONDS_MAX:g} s",
        fix="look into the log: tiphys logs controllers",
        reason="NAMESPACE_ACCESS",
    )
