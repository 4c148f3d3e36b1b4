"""Which address families a Service has, in a cluster of IPv4 alone.

Upstream: pkg/registry/core/service/storage/alloc.go (initIPFamilyFields).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj

_BOTH: Final = ["IPv4", "IPv6"]
_SINGLE: Final = "SingleStack"
_REQUIRE: Final = "RequireDualStack"


def set_families(spec: Obj) -> list[FieldError]:
    """Fill in families and policy of a Service with addresses; or say why it cannot be."""
    many = [a for a in spec.get("clusterIPs") or () if a != "None"]
    if "ipFamilyPolicy" not in spec and max(len(spec.get("ipFamilies") or ()), len(many)) > 1:
        spec["ipFamilyPolicy"] = _REQUIRE
    addresses = {spec.get("clusterIP"), *(spec.get("clusterIPs") or ())}
    if "None" in addresses and not spec.get("selector"):
        _of_headless(spec)
        return []
    policy = spec.setdefault("ipFamilyPolicy", _SINGLE)
    families = spec.setdefault("ipFamilies", ["IPv4"])
    if policy == _SINGLE:
        for values, what in ((families, "IP families"), (many, "cluster IPs")):
            if len(values) > 1:
                text = f"must be '{_REQUIRE}' or 'PreferDualStack' when multiple {what} are"
                return [invalid("spec.ipFamilyPolicy", policy, f"{text} specified")]
    errors = [
        invalid(f"spec.clusterIPs[{index}]", many, "IPv6 is not configured on this cluster")
        for index, address in enumerate(many)
        if ":" in address
    ]
    errors += [
        invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family != "IPv4"
    ]
    if policy == _REQUIRE:
        text = "this cluster is not configured for dual-stack services"
        errors.append(invalid("spec.ipFamilyPolicy", policy, text))
    return errors


def _of_headless(spec: Obj) -> None:
    """Without a selector the endpoints are somebody's own, of any family."""
    policy = spec.setdefault("ipFamilyPolicy", _REQUIRE)
    families = spec.setdefault("ipFamilies", ["IPv4"])
    if policy != _SINGLE and len(families) == 1:
        spec["ipFamilies"] = families + [f for f in _BOTH if f not in families]
