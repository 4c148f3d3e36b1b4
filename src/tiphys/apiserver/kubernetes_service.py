"""What stands behind the Service `kubernetes`: the API servers' addresses.

Upstream: pkg/controlplane/reconcilers (endpointsadapter.go, lease.go).
"""

from collections.abc import Sequence
from typing import Final

from tiphys.api.meta import Obj

API_SERVICE: Final = "kubernetes"


def api_endpoints(addresses: Sequence[str], port: int) -> Obj:
    return {
        "metadata": {
            "name": API_SERVICE,
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in addresses],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    }


def api_endpoint_slice(addresses: Sequence[str], port: int) -> Obj:
    return {
        "metadata": {
            "name": API_SERVICE,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": API_SERVICE},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
