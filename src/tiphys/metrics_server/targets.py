"""Where Prometheus finds what runs on each node. Pure.

Debian's Prometheus is built without the discovery of Kubernetes; this works with any.
Source: prometheus.io/docs/prometheus/latest/http_sd.
"""

from typing import Any, Final

from tiphys.api.meta import Obj, at, name_of
from tiphys.metrics_server.scrape import kubelet_url

PATH: Final = "/targets"
KUBELET: Final = "kubelet"


def targets(nodes: list[Obj], port: str) -> list[dict[str, Any]] | None:
    """One group for each node that has an address; None for a port that is none.

    port: a number, or `kubelet` for the port that each node names itself.
    """
    if port != KUBELET and not (port.isdecimal() and 0 < int(port) < 65536):
        return None
    found = []
    for node in nodes:
        address = _address(node, port)
        if address:
            found.append({"targets": [address], "labels": {"node": name_of(node)}})
    return found


def _address(node: Obj, port: str) -> str:
    if port == KUBELET:
        return kubelet_url(node).removeprefix("https://")
    for one in at(node, "status", "addresses", default=[]):
        if one.get("type") == "InternalIP" and one.get("address"):
            host = one["address"]
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""
