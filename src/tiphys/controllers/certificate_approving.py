"""Certificate approving: kubelets' client certificates, for who may ask for them.

A machine that joins may ask for one (`nodeclient`), a node may renew its own (`selfnodeclient`):
subresources that exist only as rights.

Upstream: pkg/controller/certificates/approver/sarapprove.go.
Reads CertificateSigningRequest. Writes CertificateSigningRequest/approval, SubjectAccessReview.
"""

import base64

from tiphys.api.errors import NotFound
from tiphys.api.meta import GroupVersionResource, Obj, ObjectKey, at, rfc3339
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import certificate_rules as rules
from tiphys.controllers.certificate_signing import ACCOUNT
from tiphys.controllers.kinds import CERTIFICATE_SIGNING_REQUESTS
from tiphys.lib import certificate_request

REVIEWS = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
_MESSAGES = {
    "selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview.",
    "nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview.",
}


def rights_for(request: Obj) -> list[str]:
    """The rights any of which lets a request be approved; none for what is not ours to approve.

    Raises ValueError for a request that cannot be read.
    """
    spec = request["spec"]
    if spec.get("signerName") != rules.KUBELET_CLIENT:
        return []
    asked = certificate_request.parse(base64.b64decode(spec["request"]))
    if rules.kubelet_client_error(asked, spec.get("usages") or []):
        return []
    name, _ = certificate_request.subject_of(asked)
    return ["selfnodeclient", "nodeclient"] if spec.get("username") == name else ["nodeclient"]


def approved(request: Obj, message: str, now: str) -> Obj:
    """The request with the condition that approves it."""
    status = request.get("status") or {}
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "AutoApproved",
        "message": message,
        "lastUpdateTime": now,
    }
    return request | {"status": status | {"conditions": [*status.get("conditions", []), condition]}}


class CertificateApprovingController(KeyedController):
    name = "certificatesigningrequest-approving-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(ACCOUNT)
        self._clock = context.clock
        self._requests = context.informers.of(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        request = self._requests.get(key)
        if request is None or not rules.is_open(request):
            return None
        for right in rights_for(request):
            if await self._may(request, right):
                now = rfc3339(self._clock.now())
                answer = approved(request, _MESSAGES[right], now)
                try:
                    await self._client.update(CERTIFICATE_SIGNING_REQUESTS, answer, "", "approval")
                except NotFound:
                    return None
                return None
        return None

    async def _may(self, request: Obj, right: str) -> bool:
        spec = request["spec"]
        asked = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": right,
        }
        review: Obj = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": spec.get("username", ""),
                "uid": spec.get("uid", ""),
                "groups": spec.get("groups") or [],
                "extra": spec.get("extra") or {},
                "resourceAttributes": asked,
            },
        }
        answer = await self._client.create(REVIEWS, review, "")
        return bool(at(answer, "status", "allowed"))
