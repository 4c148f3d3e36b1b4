"""What a request for a certificate must look like for each signer of ours. Pure.

Upstream: pkg/apis/certificates/helpers.go, pkg/controller/certificates/signer/signer.go.
"""

from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509

from tiphys.api.meta import Obj, at
from tiphys.lib import certificate_request

KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
API_CLIENT: Final = "kubernetes.io/kube-apiserver-client"
LEGACY: Final = "kubernetes.io/legacy-unknown"
NODES_GROUP: Final = "system:nodes"
NODE_PREFIX: Final = "system:node:"
_OPTIONAL: Final = frozenset({"digital signature", "key encipherment"})

Rule = Callable[[x509.CertificateSigningRequest, Sequence[str]], str]
"""Why a request is none of this signer's; empty when it is one."""


def kubelet_client_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    name, organizations = certificate_request.subject_of(request)
    if organizations != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    for kind, word in _KINDS:
        if _names(request, kind):
            return f"{word} subjectAltNames are not allowed"
    if not name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _usage_error(usages, "client auth")


def kubelet_serving_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    name, organizations = certificate_request.subject_of(request)
    if organizations != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    if not _names(request, x509.DNSName) and not _names(request, x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    for kind, word in _KINDS:
        if kind in (x509.RFC822Name, x509.UniformResourceIdentifier) and _names(request, kind):
            return f"{word} subjectAltNames are not allowed"
    problem = _usage_error(usages, "server auth")
    if problem:
        return problem
    if not name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return ""


def api_client_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    for usage in usages:
        if usage not in _OPTIONAL and usage != "client auth":
            return f"invalid usage for client certificate: {usage}"
    if "client auth" not in usages:
        return "missing required usage for client certificate: client auth"
    return ""


def legacy_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    return ""


def served_names(request: x509.CertificateSigningRequest) -> tuple[list[str], list[str]]:
    """(host names, addresses) that a serving certificate is asked for."""
    return _names(request, x509.DNSName), _names(request, x509.IPAddress)


def has_condition(request: Obj, kind: str) -> bool:
    conditions = at(request, "status", "conditions", default=[])
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def is_approved(request: Obj) -> bool:
    return has_condition(request, "Approved") and not has_condition(request, "Denied")


def is_open(request: Obj) -> bool:
    """Neither approved, denied nor issued yet."""
    decided = has_condition(request, "Approved") or has_condition(request, "Denied")
    return not decided and not at(request, "status", "certificate")


_KINDS: Final = (
    (x509.DNSName, "DNS"),
    (x509.RFC822Name, "Email"),
    (x509.IPAddress, "IP"),
    (x509.UniformResourceIdentifier, "URI"),
)


def _names(request: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> list[str]:
    found = certificate_request.alternatives_of(request)
    return [str(n.value) for n in found or () if isinstance(n, kind)]


def _usage_error(usages: Sequence[str], purpose: str) -> str:
    wanted = {"digital signature", purpose}
    if set(usages) in (wanted, wanted | {"key encipherment"}):
        return ""
    shown = " ".join(sorted(wanted | {"key encipherment"}))
    return f"usages did not match [{shown}]"
