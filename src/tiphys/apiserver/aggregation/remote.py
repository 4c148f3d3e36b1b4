"""One APIService that names a Service: what its object says, and who it is for TLS.

Upstream: kube-aggregator pkg/apiserver/handler_proxy.go (updateAPIService).
"""

import base64
import binascii
import ssl
from dataclasses import dataclass
from pathlib import Path

from tiphys.api.meta import Obj, at, condition

PASSED = "Passed"


@dataclass(frozen=True, slots=True)
class Remote:
    """`authority` is PEM; empty: the machine's own authorities count."""

    group: str
    version: str
    namespace: str
    service: str
    port: int
    authority: bytes
    insecure: bool
    group_priority: int
    version_priority: int
    is_available: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.version

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}"

    @property
    def server_name(self) -> str:
        return f"{self.service}.{self.namespace}.svc"


def remote_of(api_service: Obj) -> Remote | None:
    """None for one that is served here. A bundle that is no base64 verifies nobody."""
    spec = api_service["spec"]
    service = spec.get("service")
    if service is None:
        return None
    available = condition(api_service, "Available")
    return Remote(
        group=spec.get("group", ""),
        version=spec.get("version", ""),
        namespace=service.get("namespace", ""),
        service=service.get("name", ""),
        port=int(service.get("port", 443)),
        authority=_decoded(at(api_service, "spec", "caBundle", default="")),
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        group_priority=int(spec.get("groupPriorityMinimum", 0)),
        version_priority=int(spec.get("versionPriority", 0)),
        is_available=available is not None and available.get("status") == "True",
    )


def _decoded(bundle: str) -> bytes:
    try:
        return base64.b64decode(bundle, validate=True)
    except binascii.Error:
        return b"-"


def tls_context(remote: Remote, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Verifies the server as its APIService says and shows our certificate.

    Raises OSError or ssl.SSLError for a bundle or file that is none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if remote.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif remote.authority:
        context.load_verify_locations(cadata=remote.authority.decode(errors="replace"))
    else:
        context.load_default_certs()
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context
