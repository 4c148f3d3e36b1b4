"""Validation of NetworkPolicies. Upstream: pkg/apis/networking/validation/validation.go."""

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.addresses import legacy_network, parse_network
from tiphys.apiserver.resources.rules.texts import each, label_selector, port_number, unsupported


def validate(policy: Obj) -> list[FieldError]:
    spec = policy["spec"]
    errors = label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for at, port in enumerate(rule.get("ports") or ()):
                errors += _port(port, f"{path}.ports[{at}]")
            for at, peer in enumerate(rule.get(side) or ()):
                errors += _peer(peer, f"{path}.{side}[{at}]")
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        text = "may not specify more than two policyTypes"
        return [*errors, invalid("spec.policyTypes", kinds, text)]
    for index, kind in enumerate(kinds):
        if kind not in {"Ingress", "Egress"}:
            path = f"spec.policyTypes[{index}]"
            errors.append(unsupported(path, kind, ("Ingress", "Egress")))
    return errors


def _port(port: Obj, path: str) -> list[FieldError]:
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    errors: list[FieldError] = []
    if protocol not in {None, "TCP", "UDP", "SCTP"}:
        errors.append(unsupported(f"{path}.protocol", str(protocol), ("TCP", "UDP", "SCTP")))
    if number is None:
        if end is not None:
            text = "may not be specified when `port` is not specified"
            errors.append(invalid(f"{path}.endPort", end, text))
    elif isinstance(number, str):
        if end is not None:
            text = "may not be specified when `port` is non-numeric"
            errors.append(invalid(f"{path}.endPort", end, text))
        errors += each(f"{path}.port", number, names.port_name(number))
    else:
        errors += port_number(number, f"{path}.port")
        if end is not None:
            if end < number:
                text = "must be greater than or equal to `port`"
                errors.append(invalid(f"{path}.endPort", number, text))
            errors += port_number(end, f"{path}.endPort")
    return errors


def _peer(peer: Obj, path: str) -> list[FieldError]:
    errors = label_selector(peer.get("podSelector"), f"{path}.podSelector")
    errors += label_selector(peer.get("namespaceSelector"), f"{path}.namespaceSelector")
    if "ipBlock" in peer:
        errors += _block(peer["ipBlock"], f"{path}.ipBlock")
    if not peer:
        errors.append(required(path, "must specify a peer"))
    elif len(peer) > 1 and "ipBlock" in peer:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _block(block: Obj, path: str) -> list[FieldError]:
    text = block.get("cidr", "")
    if not text:
        return [required(f"{path}.cidr")]
    errors = legacy_network(text, f"{path}.cidr")
    network = parse_network(text)
    if network is None:
        return errors
    for index, value in enumerate(block.get("except") or ()):
        where = f"{path}.except[{index}]"
        errors += legacy_network(value, where)
        inner = parse_network(value)
        if inner is None:
            continue
        within = inner.version == network.version and inner.network_address in network
        if not within or inner.prefixlen <= network.prefixlen:
            errors.append(invalid(where, value, "must be a strict subset of `cidr`"))
    return errors
