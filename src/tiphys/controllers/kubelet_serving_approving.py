"""Kubelet serving approving: a node's server certificate names that node and nobody else.

Upstream leaves this to administrators, because a node says itself which addresses it has. Ours
approves what a node asks for itself when it claims only its own name and addresses, none of which
is another node's, a Service's or the API server's: such a certificate would let it pose as them.
Reads CertificateSigningRequest, Node, Service, EndpointSlice. Writes
CertificateSigningRequest/approval.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, at, name_of, namespace_of, rfc3339
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers import certificate_rules as rules
from tiphys.controllers.certificate_approving import approved
from tiphys.controllers.kinds import (
    CERTIFICATE_SIGNING_REQUESTS,
    ENDPOINT_SLICES,
    NODES,
    SERVICES,
)
from tiphys.lib import certificate_request

ACCOUNT: Final = "kubelet-serving-approver"
MESSAGE: Final = "Auto approving kubelet serving certificate for the node's own name and addresses."
RETRY_SECONDS: Final = 2.0  # Node and certificate are asked for at the same time.
RETRIES_SECONDS_MAX: Final = 600.0  # After so long the request waits for an administrator.
_SERVER_NAMES: Final = ("localhost", "kubernetes")


@dataclass(frozen=True, slots=True)
class Claims:
    """What nobody but its owner may have in a certificate."""

    node_addresses: frozenset[str]  # Of the node that asks.
    others: frozenset[str]  # Of other nodes, Services and the API server.


def refusal(request: Obj, claims: Claims) -> str:
    """Why a request is not approved; empty when it is. Raises ValueError when unreadable."""
    spec = request["spec"]
    asked = certificate_request.parse(base64.b64decode(spec["request"]))
    problem = rules.kubelet_serving_error(asked, spec.get("usages") or [])
    if problem:
        return problem
    user, _ = certificate_request.subject_of(asked)
    if spec.get("username") != user or rules.NODES_GROUP not in (spec.get("groups") or []):
        return "only the node itself may ask for this"
    node = user.removeprefix(rules.NODE_PREFIX)
    names, addresses = rules.served_names(asked)
    if any(name != node for name in names):
        return "it names another host"
    if names and _is_server_name(node):
        return "the node has a name of the API server"
    for address in addresses:
        if ip_address(address).is_loopback or address in claims.others:
            return f"{address} is somebody else's"
        if address not in claims.node_addresses:
            return f"the node has no address {address}"
    return ""


def _is_server_name(name: str) -> bool:
    return name in _SERVER_NAMES or name.startswith("kubernetes.") or ".svc" in f".{name}"


def claims_of(
    node_name: str, nodes: Iterable[Obj], services: Iterable[Obj], slices: Iterable[Obj]
) -> Claims:
    own: set[str] = set()
    others: set[str] = set()
    for node in nodes:
        found = {a.get("address", "") for a in at(node, "status", "addresses", default=[])}
        (own if name_of(node) == node_name else others).update(found)
    for service in services:
        others.update(at(service, "spec", "clusterIPs", default=[]))
        others.update(at(service, "spec", "externalIPs", default=[]))
        ingress = at(service, "status", "loadBalancer", "ingress", default=[])
        others.update(one.get("ip", "") for one in ingress)
    for piece in slices:
        if (namespace_of(piece), name_of(piece)) == ("default", "kubernetes"):
            for endpoint in piece.get("endpoints") or []:
                others.update(endpoint.get("addresses") or [])
    return Claims(frozenset(own), frozenset(others))


class KubeletServingApprovingController(KeyedController):
    name = "kubelet-serving-approving-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(ACCOUNT)
        self._clock = context.clock
        self._requests = context.informers.of(CERTIFICATE_SIGNING_REQUESTS)
        self._nodes = context.informers.of(NODES)
        self._services = context.informers.of(SERVICES)
        self._slices = context.informers.of(ENDPOINT_SLICES)
        self._waited: dict[ObjectKey, float] = {}
        self._requests.on_change(self.enqueue)

    async def reconcile(self, key: ObjectKey) -> float | None:
        request = self._requests.get(key)
        if request is None or not self._is_ours(request):
            self._waited.pop(key, None)
            return None
        node = str(request["spec"].get("username", "")).removeprefix(rules.NODE_PREFIX)
        claims = claims_of(node, self._nodes.items(), self._services.items(), self._slices.items())
        if refusal(request, claims):
            began = self._waited.setdefault(key, self._clock.monotonic())
            waited = self._clock.monotonic() - began
            return RETRY_SECONDS if waited < RETRIES_SECONDS_MAX else None
        answer = approved(request, MESSAGE, rfc3339(self._clock.now()))
        try:
            await self._client.update(CERTIFICATE_SIGNING_REQUESTS, answer, "", "approval")
        except NotFound:
            return None
        return None

    @staticmethod
    def _is_ours(request: Obj) -> bool:
        signer = request["spec"].get("signerName")
        return signer == rules.KUBELET_SERVING and rules.is_open(request)
