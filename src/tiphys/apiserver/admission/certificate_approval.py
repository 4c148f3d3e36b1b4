"""CertificateApproval: who approves or denies a request must be allowed to for its signer.

Upstream: plugin/pkg/admission/certificates/approval/admission.go.
"""

from tiphys.api.meta import at
from tiphys.apiserver.admission.certificate_signers import GROUP, REQUESTS, may
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.filters.authorization import RbacAuthorizer


class CertificateApproval:
    name = "CertificateApproval"
    resources: Resources = frozenset({(GROUP, REQUESTS)})

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    def validate(self, write: Write) -> None:
        """Raises Forbidden."""
        if write.operation != "UPDATE" or not write.is_(GROUP, REQUESTS, "approval"):
            return
        signer = str(at(write.old, "spec", "signerName", default=""))
        if not may(self._authorizer, write.user, "approve", signer):
            text = f'user not permitted to approve requests with signerName "{signer}"'
            raise refuse(write, text)
