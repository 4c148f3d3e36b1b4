"""Certificate signing: approved requests of the cluster's own signers get their certificate.

Clients are signed by the authority for clients, kubelets' servers by the one for servers.
Upstream: pkg/controller/certificates/signer/signer.go.
Reads CertificateSigningRequest. Writes CertificateSigningRequest/status.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, rfc3339
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import certificate_rules as rules
from tiphys.controllers.certificate_authority import Authority
from tiphys.controllers.kinds import CERTIFICATE_SIGNING_REQUESTS
from tiphys.lib import certificate_request

ACCOUNT: Final = "certificate-controller"
LIFE_MIN: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Signer:
    authority: Authority
    error_of: rules.Rule


def signers(clients: Authority, serving: Authority) -> dict[str, Signer]:
    """By the name that a request asks for."""
    return {
        rules.KUBELET_CLIENT: Signer(clients, rules.kubelet_client_error),
        rules.API_CLIENT: Signer(clients, rules.api_client_error),
        rules.KUBELET_SERVING: Signer(serving, rules.kubelet_serving_error),
        rules.LEGACY: Signer(clients, rules.legacy_error),
    }


def life_of(request: Obj, longest: timedelta) -> timedelta:
    """As asked, within bounds."""
    seconds = at(request, "spec", "expirationSeconds")
    if seconds is None:
        return longest
    return min(longest, max(LIFE_MIN, timedelta(seconds=int(seconds))))


class CertificateSigningController(KeyedController):
    name = "certificatesigningrequest-signing-controller"

    def __init__(
        self, context: Context, by_name: Mapping[str, Signer], life_seconds: float
    ) -> None:
        super().__init__()
        self._client = context.client_for(ACCOUNT)
        self._clock = context.clock
        self._signers = by_name
        self._life = timedelta(seconds=life_seconds)
        self._requests = context.informers.of(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        request = self._requests.get(key)
        if request is None or at(request, "status", "certificate"):
            return None
        signer = self._signers.get(request["spec"].get("signerName", ""))
        if signer is None or not rules.is_approved(request):
            return None
        if rules.has_condition(request, "Failed"):
            return None
        try:
            await self._client.update(
                CERTIFICATE_SIGNING_REQUESTS, self._answered(request, signer), "", "status"
            )
        except NotFound:
            return None
        return None

    def _answered(self, request: Obj, signer: Signer) -> Obj:
        """The request with its certificate, or with the reason why there is none."""
        spec, status, now = request["spec"], request.get("status") or {}, self._clock.now()
        asked = certificate_request.parse(base64.b64decode(spec["request"]))
        usages = spec.get("usages") or []
        problem = signer.error_of(asked, usages)
        if problem:
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "SignerValidationFailure",
                "message": problem,
                "lastUpdateTime": rfc3339(now),
            }
            return request | {
                "status": status | {"conditions": [*status.get("conditions", []), failed]}
            }
        pem = signer.authority.sign(asked, usages, life_of(request, self._life), now)
        return request | {"status": status | {"certificate": base64.b64encode(pem).decode()}}
