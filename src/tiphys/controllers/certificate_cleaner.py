"""Certificate cleaner: requests that are over go after a while.

Upstream: pkg/controller/certificates/cleaner/cleaner.go.
Reads CertificateSigningRequest. Deletes CertificateSigningRequest.
"""

import base64
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, parse_time, uid_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.certificate_signing import ACCOUNT
from tiphys.controllers.kinds import CERTIFICATE_SIGNING_REQUESTS

DECIDED: Final = timedelta(hours=1)  # Approved, denied or failed, since it was.
PENDING: Final = timedelta(hours=24)  # Since it was made.


def due(request: Obj) -> datetime:
    """When a request goes. Raises ValueError for a certificate that cannot be read."""
    created = parse_time(request["metadata"]["creationTimestamp"])
    moments = []
    for condition in at(request, "status", "conditions", default=[]):
        if condition.get("type") in ("Approved", "Denied", "Failed"):
            since = condition.get("lastUpdateTime")
            moments.append((parse_time(since) if since else created) + DECIDED)
    if not moments:
        moments.append(created + PENDING)
    pem = base64.b64decode(at(request, "status", "certificate", default=""))
    if pem:
        moments.append(x509.load_pem_x509_certificate(pem).not_valid_after_utc)
    return min(moments)


class CertificateCleaner(KeyedController):
    name = "certificatesigningrequest-cleaner-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(ACCOUNT)
        self._clock = context.clock
        self._requests = context.informers.of(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        request = self._requests.get(key)
        if request is None:
            return None
        left = (due(request) - self._clock.now()).total_seconds()
        if left > 0:
            return left
        try:
            await self._client.delete(CERTIFICATE_SIGNING_REQUESTS, key.name, uid=uid_of(request))
        except NotFound:
            return None
        return None
