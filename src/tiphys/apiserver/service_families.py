"""Which address families a Service has, in a cluster of IPv4 alone.

Upstream: pkg/registry/core/service/storage/alloc.go (initIPFamilyFields).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj

_OURS: Final = "IPv4"
_BOTH: Final = [_OURS, "IPv6"]
_SINGLE: Final = "SingleStack"
_REQUIRE: Final = "RequireDualStack"
_POLICY: Final = "spec.ipFamilyPolicy"


def set_families(spec: Obj, before: Obj) -> list[FieldError]:
    """Fill in families and policy of a Service with addresses; or say why it cannot be.

    `before`: the spec that it replaces, empty for a new Service.
    """
    is_free = spec.get("clusterIP") == "None" and not spec.get("selector")
    given: str = before.get("ipFamilyPolicy") or (_REQUIRE if is_free else _SINGLE)
    policy = spec.setdefault("ipFamilyPolicy", given)
    errors = _released(spec, before, policy) + _of_addresses(spec, policy)
    if errors:
        return errors
    families = spec.get("ipFamilies") or [_OURS]
    if is_free:
        # Without a selector the endpoints are somebody's own, of any family.
        if policy != _SINGLE and len(families) == 1:
            families = families + [f for f in _BOTH if f not in families]
        spec["ipFamilies"] = families
        return []
    spec["ipFamilies"] = families
    return _of_cluster(policy, families)


def _released(spec: Obj, before: Obj, policy: str) -> list[FieldError]:
    """A second family goes with the policy for one alone, and by no other way."""
    families, held = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if policy == _SINGLE:
        if families == held and len(families) > 1:
            spec["ipFamilies"] = families[:1]
        return []
    if not families or len(families) >= len(held):
        return []
    text = f"must be '{_SINGLE}' to release the secondary IP family"
    return [invalid(_POLICY, policy, text)]


def _of_addresses(spec: Obj, policy: str) -> list[FieldError]:
    """Families of addresses that the Service asks for join those that it names."""
    addresses, families = spec.get("clusterIPs") or [], list(spec.get("ipFamilies") or [])
    errors = []
    for values, what in ((addresses, "cluster IPs"), (families, "IP families")):
        if policy == _SINGLE and len(values) == len(_BOTH):
            text = f"must be '{_REQUIRE}' or 'PreferDualStack' when multiple {what} are specified"
            errors.append(invalid(_POLICY, policy, text))
    for index, address in enumerate(addresses):
        if address == "None":
            break
        if index < len(families):
            continue
        if ":" in address:
            text = "IPv6 is not configured on this cluster"
            errors.append(invalid(f"spec.clusterIPs[{index}]", addresses, text))
        else:
            families.append(_OURS)
    if families:
        spec["ipFamilies"] = families
    return errors


def _of_cluster(policy: str, families: list[str]) -> list[FieldError]:
    errors = []
    if policy == _REQUIRE:
        text = "this cluster is not configured for dual-stack services"
        errors.append(invalid(_POLICY, policy, text))
    return errors + [
        invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family != _OURS
    ]
