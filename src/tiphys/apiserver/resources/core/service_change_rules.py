"""What may change in a Service: addresses and families that it was given stay.

Upstream: pkg/apis/core/validation/validation.go (ValidateServiceUpdate).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, forbidden, invalid
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.core.service_rules import balancer_class

_ONCE: Final = "may not change once set"


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    errors: list[FieldError] = []
    if "ExternalName" not in {spec.get("type"), before.get("type")}:
        is_headless = [s.get("clusterIPs") == ["None"] for s in (spec, before)]
        if not all(is_headless):
            errors += _addresses(spec, before)
        if not any(is_headless):
            errors += _families(spec, before)
    errors += _balancer_class(spec, before)
    port, port_before = (s.get("healthCheckNodePort", 0) for s in (spec, before))
    if port != port_before and _needs_health_check(spec, before):
        errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors


def _addresses(spec: Obj, before: Obj) -> list[FieldError]:
    now, then = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    path = "spec.clusterIPs"
    if len(now) == len(then):
        pairs = enumerate(zip(now, then, strict=True))
        return [invalid(f"{path}[{i}]", now, _ONCE) for i, (one, two) in pairs if one != two]
    errors: list[FieldError] = []
    if not now:
        errors.append(invalid(f"{path}[0]", now, "primary clusterIP can not be unset"))
    elif then and now[0] != then[0]:
        errors.append(invalid(f"{path}[0]", now, _ONCE))
    if len(then) > len(now) == 1:
        errors += _single_stack(spec, "clusterIP")
    return errors


def _families(spec: Obj, before: Obj) -> list[FieldError]:
    now, then = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    path, addresses = "spec.ipFamilies[0]", spec.get("clusterIPs") or []
    if len(now) == len(then):
        pairs = zip(now, then, strict=True)
        return [invalid(path, now, _ONCE) for one, two in pairs if one != two]
    errors: list[FieldError] = []
    if len(then) > len(now) and not addresses:
        errors.append(invalid(path, now, "primary ipFamily can not be unset"))
    if now and then and now[0] != then[0]:
        errors.append(invalid(path, addresses, _ONCE))  # Upstream shows the addresses.
    if len(then) > len(now) == 1:
        errors += _single_stack(spec, "ipFamily")
    return errors


def _single_stack(spec: Obj, what: str) -> list[FieldError]:
    policy = spec.get("ipFamilyPolicy")
    if policy == "SingleStack":
        return []
    text = f"must be set to 'SingleStack' when releasing the secondary {what}"
    return [invalid("spec.ipFamilyPolicy", policy, text)]


def _balancer_class(spec: Obj, before: Obj) -> list[FieldError]:
    """Its rules for new Services are asked here once more."""
    kinds = {spec.get("type"), before.get("type")}
    now, then = spec.get("loadBalancerClass"), before.get("loadBalancerClass")
    errors: list[FieldError] = []
    if kinds == {"LoadBalancer"} and now != then:
        errors.append(invalid("spec.loadBalancerClass", now, _ONCE))
    return errors + balancer_class(spec, spec.get("type", ""))


def _needs_health_check(*specs: Obj) -> bool:
    return all(
        s.get("type") == "LoadBalancer" and s.get("externalTrafficPolicy") == "Local" for s in specs
    )
