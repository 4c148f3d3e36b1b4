"""CertificateSigning: who writes a certificate must be allowed to sign for the request's signer.

Upstream: plugin/pkg/admission/certificates/signing/admission.go.
"""

from tiphys.api.meta import at
from tiphys.apiserver.admission.certificate_signers import GROUP, REQUESTS, may
from tiphys.apiserver.admission.chain import Resources, Write
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.filters.authorization import RbacAuthorizer


class CertificateSigning:
    name = "CertificateSigning"
    resources: Resources = frozenset({(GROUP, REQUESTS)})

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    def validate(self, write: Write) -> None:
        """Raises Forbidden."""
        if write.operation != "UPDATE" or not write.is_(GROUP, REQUESTS, "status"):
            return
        if all(_part(write.obj, part) == _part(write.old, part) for part in _SIGNED):
            return
        signer = str(at(write.old, "spec", "signerName", default=""))
        if not may(self._authorizer, write.user, "sign", signer):
            raise refuse(write, f'user not permitted to sign requests with signerName "{signer}"')


_SIGNED = ("certificate", "conditions")


def _part(request: object, name: str) -> object:
    return at(request, "status", name) or None
