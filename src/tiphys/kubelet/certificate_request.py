"""Asking the cluster for a certificate and waiting until it has been approved and signed.

Upstream: client-go util/certificate/csr/csr.go.
"""

import base64
from dataclasses import dataclass
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import GroupVersionResource, Obj, at, name_of
from tiphys.client.rest import Client
from tiphys.lib import certificate_request
from tiphys.lib.clock import Clock

REQUESTS: Final = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")
CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER: Final = "kubernetes.io/kubelet-serving"
NODES_GROUP: Final = "system:nodes"
POLL_SECONDS: Final = 0.2
WAIT_SECONDS_MAX: Final = 15 * 60.0  # certificateWaitTimeout


class CertificateRefused(Exception):
    """No certificate will come of a request: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate is for. names: host names and addresses, for one that serves."""

    signer: str
    node_name: str
    names: tuple[str, ...] = ()

    @property
    def usages(self) -> list[str]:
        purpose = "server auth" if self.signer == SERVING_SIGNER else "client auth"
        return ["digital signature", purpose]

    @property
    def user(self) -> str:
        return f"system:node:{self.node_name}"


async def obtain(
    client: Client, wanted: Wanted, clock: Clock, wait_seconds: float = WAIT_SECONDS_MAX
) -> bytes:
    """Certificate and new key, PEM. Raises CertificateRefused, ApiError, TimeoutError."""
    key = certificate_request.new_key()
    pem = certificate_request.make(key, wanted.user, [NODES_GROUP], wanted.names)
    made = await client.create(REQUESTS, _request(wanted, pem), "")
    deadline = clock.monotonic() + wait_seconds
    while clock.monotonic() < deadline:
        found = await client.get(REQUESTS, name_of(made))
        check(found)
        certificate = at(found, "status", "certificate")
        if certificate:
            return base64.b64decode(certificate) + certificate_request.key_pem(key)
        await clock.sleep(POLL_SECONDS)
    raise TimeoutError(
        f"request {name_of(made)} was not signed in {wait_seconds:g} s: see "
        "`kubectl get csr`, and `kubectl certificate approve` for one that is pending"
    )


def check(request: Obj) -> None:
    """Raises CertificateRefused for a request that was denied or cannot be signed."""
    for condition in at(request, "status", "conditions", default=[]):
        if condition.get("type") in ("Denied", "Failed"):
            raise CertificateRefused(
                f"request {name_of(request)} was {condition['type'].lower()}: "
                f"{condition.get('message') or condition.get('reason', '')}"
            )


def _request(wanted: Wanted, pem: bytes) -> Obj:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": wanted.signer,
            "usages": wanted.usages,
        },
    }


FAILURES: Final = (ApiError, CertificateRefused, TimeoutError)
