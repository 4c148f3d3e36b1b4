"""Validation of IngressClasses, IPAddresses and ServiceCIDRs.

Upstream: pkg/apis/networking/validation/validation.go.
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required, too_long
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.addresses import (
    canonical_address,
    canonical_network,
    parse_network,
)
from tiphys.apiserver.resources.rules.texts import (
    IMMUTABLE,
    domain_path,
    each,
    immutable,
    unsupported,
)

CONTROLLER_BYTES_MAX: Final = 250


def ingress_class(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    controller = spec.get("controller", "")
    errors: list[FieldError] = []
    if len(controller.encode()) > CONTROLLER_BYTES_MAX:
        errors.append(too_long("spec.controller", CONTROLLER_BYTES_MAX))
    errors += domain_path(controller, "spec.controller")
    parameters = spec.get("parameters")
    return errors + (_parameters(parameters, "spec.parameters") if parameters else [])


def _parameters(parameters: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    group, scope = parameters.get("apiGroup"), parameters.get("scope")
    if group is not None:
        errors += each(f"{path}.apiGroup", group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = parameters.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += each(f"{path}.{field}", value, names.path_segment_name(value, False))
    namespace, where = parameters.get("namespace"), f"{path}.namespace"
    if scope not in {"Cluster", "Namespace"}:
        errors.append(unsupported(f"{path}.scope", str(scope or ""), ("Cluster", "Namespace")))
    elif scope == "Namespace":
        if namespace is None:
            errors.append(required(where, "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += each(where, namespace, names.dns_label(namespace))
    elif namespace is not None:
        errors.append(forbidden(where, "`parameters.scope` is set to 'Cluster'"))
    return errors


def ingress_class_update(new: Obj, old: Obj) -> list[FieldError]:
    return immutable(
        new["spec"].get("controller") or "", old["spec"].get("controller"), "spec.controller"
    )


def ip_address_name(name: str, is_prefix: bool) -> list[str]:
    """The object's name is the address, in canonical form."""
    del is_prefix
    return [error.detail for error in canonical_address(name, "")]


def ip_address(obj: Obj) -> list[FieldError]:
    parent = obj["spec"].get("parentRef")
    if parent is None:
        return [required("spec.parentRef")]
    errors: list[FieldError] = []
    group = parent.get("group", "")
    if group:
        errors += each("spec.parentRef.group", group, names.dns_subdomain(group))
    for field, needed in (("resource", True), ("name", True), ("namespace", False)):
        value, where = parent.get(field, ""), f"spec.parentRef.{field}"
        if value:
            errors += each(where, value, names.path_segment_name(value, False))
        elif needed:
            errors.append(required(where))
    return errors


def ip_address_update(new: Obj, old: Obj) -> list[FieldError]:
    parent = new["spec"].get("parentRef")
    if parent == old["spec"].get("parentRef"):
        return []
    shown = None if parent is None else go_form(parent, "networking.v1.ParentReference")
    return [invalid("spec.parentRef", shown, IMMUTABLE)]


def service_cidr(obj: Obj) -> list[FieldError]:
    cidrs = obj["spec"].get("cidrs") or []
    if not cidrs:
        return [required("spec.cidrs", "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid("spec.cidrs", {"CIDRs": cidrs}, "may only hold up to 2 values")]
    errors: list[FieldError] = []
    for index, cidr in enumerate(cidrs):
        errors += canonical_network(cidr, f"spec.cidrs[{index}]")
    networks = [parse_network(c) for c in cidrs]
    versions = [n.version for n in networks if n is not None]
    if len(cidrs) == 2 and len(versions) == 2 and versions[0] == versions[1]:
        text = (
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
            "2001:db8::/64"
        )
        errors.append(invalid("spec.cidrs", cidrs, text))
    return errors


def service_cidr_update(new: Obj, old: Obj) -> list[FieldError]:
    """A range may get one of the other family beside it, and changes in nothing else."""
    cidrs, before = new["spec"].get("cidrs") or [], old["spec"].get("cidrs") or []
    if len(cidrs) != len(before) and (len(before), len(cidrs)) != (1, 2):
        return [invalid("spec.cidrs", new["spec"].get("cidrs"), IMMUTABLE)]
    errors = [
        invalid(f"spec.cidrs[{index}]", cidrs[index], IMMUTABLE)
        for index, cidr in enumerate(before)
        if cidr != cidrs[index]
    ]
    return errors + (service_cidr(new) if len(cidrs) > len(before) else [])
