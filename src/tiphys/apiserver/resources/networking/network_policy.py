"""NetworkPolicy. Upstream: pkg/registry/networking/networkpolicy."""

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.networking import network_policy_rules
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.addresses import network_warnings

_INFO = built_in("networking.k8s.io", "v1", "networkpolicies")


def default(policy: Obj) -> None:
    spec = policy["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")


def before_update(new: Obj, old: Obj) -> None:
    generation.bump(new, old)


def network_policy_warnings(policy: Obj, old: Obj | None) -> list[str]:
    found: list[str] = []
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(policy["spec"].get(direction) or ()):
            for at, peer in enumerate(rule.get(side) or ()):
                block = peer.get("ipBlock") or {}
                path = f"spec.{direction}[{index}].{side}[{at}].ipBlock"
                found += network_warnings(block.get("cidr", ""), f"{path}.cidr")
                for place, network in enumerate(block.get("except") or ()):
                    found += network_warnings(network, f"{path}.except[{place}]")
    return found


NETWORK_POLICY = Resource(
    _INFO,
    validate=network_policy_rules.validate,
    warnings=network_policy_warnings,
    columns=columns_of(_INFO, cells.name, cells.selector("spec", "podSelector"), cells.age),
    default=default,
    before_create=generation.start,
    before_update=before_update,
)
