"""What the API server must be told. Made once from flags and files, then passed by argument."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Final

from tiphys.apiserver.filters.request_header import RequestHeaderConfig

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
NODE_PORTS: Final = (30000, 32767)  # Upstream's --service-node-port-range.
# Of --authorization-mode; beside it Node,RBAC and Node,RBAC,Webhook. For tests.
ALWAYS_ALLOW: Final = ("AlwaysAllow",)


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    """Paths are PEM files; addresses are those to listen on.

    The store is etcd where endpoints are given, the file store_path otherwise. Upstream's flags:
    --etcd-servers, --etcd-cafile, --etcd-certfile, --etcd-keyfile.
    """

    addresses: list[tuple[str, int]]
    store_path: Path
    tls_cert: Path
    tls_key: Path
    client_ca: Path
    service_account_key: Path  # EC P-256 private key: signs and verifies tokens (ES256).
    advertise_address: str = "127.0.0.1"
    advertise_port: int = 6443
    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = NODE_PORTS
    requestheader_ca: Path | None = None  # Its proxies may say who a request is from.
    requestheader: RequestHeaderConfig = field(default_factory=RequestHeaderConfig)
    proxy_client_cert: Path | None = None  # Shown to servers that APIServices name.
    proxy_client_key: Path | None = None
    issuer: str = ISSUER
    kubelet_ca: Path | None = None
    kubelet_client_cert: Path | None = None
    kubelet_client_key: Path | None = None
    hostname: str = ""  # In whose name its identity lease is; empty: the machine's.
    etcd_endpoints: tuple[str, ...] = ()  # URLs, the preferred one first.
    etcd_ca: Path | None = None
    etcd_cert: Path | None = None
    etcd_key: Path | None = None
    profile: str = "tiphys"
    # Seats of priority and fairness: --max-requests-inflight, --max-mutating-requests-inflight.
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    # Upstream's flags of the same names; no issuer: none but our own tokens.
    oidc_issuer_url: str = ""
    oidc_client_id: str = ""
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str | None = None
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claims: tuple[tuple[str, str], ...] = ()
    oidc_signing_algs: tuple[str, ...] = ("RS256",)
    oidc_ca_file: Path | None = None
    authentication_config: Path | None = None  # --authentication-config, in place of those
    # --authorization-mode, --authorization-webhook-*
    authorization_modes: tuple[str, ...] = ("Node", "RBAC")
    authorization_webhook_config: Path | None = None
    authorization_webhook_version: str = "v1beta1"
    authorization_webhook_allowed_seconds: float = 300.0
    authorization_webhook_refused_seconds: float = 30.0
    token_auth_file: Path | None = None  # --token-auth-file
    encryption_config: Path | None = None  # --encryption-provider-config; None: all is plain.
    audit_policy: Path | None = None  # --audit-policy-file; None: nothing is noted.
    audit_log: Path | None = None  # --audit-log-path

    @property
    def service_network(self) -> IPv4Network:
        """Raises ValueError for a range that is none, or not of IPv4."""
        network = ip_network(self.service_cidr)
        if not isinstance(network, IPv4Network):
            raise ValueError(f"the service range {self.service_cidr} is not an IPv4 range")
        return network
