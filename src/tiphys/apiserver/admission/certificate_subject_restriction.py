"""CertificateSubjectRestriction: no certificate makes its owner a member of system:masters.

Upstream: plugin/pkg/admission/certificates/subjectrestriction/admission.go.
"""

import base64
from typing import Final

from tiphys.api.meta import at
from tiphys.apiserver.admission.certificate_signers import GROUP, REQUESTS
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.user import MASTERS
from tiphys.lib import certificate_request

_SIGNER: Final = "kubernetes.io/kube-apiserver-client"


class CertificateSubjectRestriction:
    name = "CertificateSubjectRestriction"
    resources: Resources = frozenset({(GROUP, REQUESTS)})

    def validate(self, write: Write) -> None:
        """Raises Forbidden."""
        if write.operation != "CREATE" or not write.is_(GROUP, REQUESTS):
            return
        if at(write.obj, "spec", "signerName") != _SIGNER:
            return
        pem = base64.b64decode(at(write.obj, "spec", "request", default=""))
        try:
            _, groups = certificate_request.subject_of(certificate_request.parse(pem))
        except ValueError as exc:
            raise refuse(write, f"failed to parse CSR: {exc}") from exc
        if MASTERS in groups:
            text = f"use of {_SIGNER} signer with {MASTERS} group is not allowed"
            raise refuse(write, text)
