"""Who may approve or sign requests of a signer: verbs `approve` and `sign` on `signers`.

Upstream: pkg/certauthorization/certauthorization.go.
"""

from typing import Final

from tiphys.apiserver.filters.authorization import Attributes, RbacAuthorizer
from tiphys.apiserver.user import User

GROUP: Final = "certificates.k8s.io"
REQUESTS: Final = "certificatesigningrequests"


def may(authorizer: RbacAuthorizer, user: User, verb: str, signer: str) -> bool:
    """For that signer, or for all signers of its domain (`example.com/*`)."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.decide(user, Attributes(verb, GROUP, "signers", name=name)).allowed
        for name in (signer, f"{domain}/*")
    )
