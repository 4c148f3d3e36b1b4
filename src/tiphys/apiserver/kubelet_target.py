"""Where a node's kubelet is, and how to speak to it.

Upstream: pkg/kubelet/client/kubelet_client.go, pkg/registry/core/node/strategy.go.
"""

import ssl
from typing import Final

from tiphys.api.errors import BadRequest, not_found
from tiphys.api.meta import Obj, at
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.tunnel import Target
from tiphys.lib import tls

KUBELET_PORT: Final = 10250
# Upstream's --kubelet-preferred-address-types.
ADDRESS_TYPES: Final = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


def kubelet_context(config: ApiServerConfig) -> ssl.SSLContext:
    """Trusts the kubelets' authority and shows our certificate. Raises OSError, ssl.SSLError."""
    if config.kubelet_ca is None:
        # As upstream without --kubelet-certificate-authority: the answer is not authenticated.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if config.kubelet_client_cert is not None:
            context.load_cert_chain(config.kubelet_client_cert, config.kubelet_client_key)
        return context
    return tls.client_context(
        config.kubelet_ca, config.kubelet_client_cert, config.kubelet_client_key
    )


def kubelet_target(ctx: RequestContext, node_name: str, path: str) -> Target:
    """Raises NotFound for a node that is not there, BadRequest for one without an address."""
    nodes = ctx.server.endpoint_of("", "nodes")
    cached = nodes.cache.get(nodes.key("", node_name))
    if cached is None:
        raise not_found("", "nodes", node_name)
    node = nodes.decode(cached)
    port = at(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=KUBELET_PORT)
    return Target(node_address(node), int(port), path, ctx.server.kubelet_tls())


def node_address(node: Obj) -> str:
    """The internal address first: names of nodes need not resolve here."""
    addresses = at(node, "status", "addresses", default=[])
    for kind in ("InternalIP", *ADDRESS_TYPES):
        for address in addresses:
            if address.get("type") == kind and address.get("address"):
                return str(address["address"])
    raise BadRequest(f"no preferred addresses found; known addresses: {addresses}")
