"""Validation of Nodes. Upstream: pkg/apis/core/validation/validation.go (ValidateNode)."""

import re
from collections.abc import Sequence
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, duplicate, forbidden, go_quoted, invalid, required
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.rules.addresses import legacy_network, parse_network
from tiphys.apiserver.resources.rules.resource_requirements import quantity
from tiphys.apiserver.resources.rules.scheduling import taints
from tiphys.apiserver.resources.rules.texts import named, repeats

_RANGES: Final = "spec.podCIDRs"
_FEATURE: Final = re.compile("[A-Z][A-Za-z0-9]*(/[A-Za-z][A-Za-z0-9]*)*")
_FEATURE_TEXT: Final = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., "
    "MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)


def validate(node: Obj) -> list[FieldError]:
    spec = node.get("spec") or {}
    errors = taints(spec.get("taints") or (), "metadata.taints") + _resources(node)
    swap = at(node, "status", "nodeInfo", "swap", "capacity")
    if swap is not None and swap <= 0:
        path = "metadata.nodeSwapStatus.capacity"
        errors.append(invalid(path, swap, "must be greater than zero"))
    return errors + _features(node) + _ranges(spec.get("podCIDRs") or [])


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    """Of the status too. Upstream looks at taints and resources again here."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _resources(new) + _features(new)
    addresses = [
        (address.get("type", ""), address.get("address", ""))
        for address in at(new, "status", "addresses", default=())
    ]
    for index in repeats(addresses):
        kind, address = addresses[index]
        shown = {"Type": kind, "Address": address}
        errors.append(duplicate(f"status.addresses[{index}]", shown))
    errors += _kept_ranges(spec.get("podCIDRs") or [], before.get("podCIDRs") or [])
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden("spec.providerID", text))
    errors += _config_source(spec.get("configSource"), "spec.configSource", in_spec=True)
    for field in ("assigned", "active", "lastKnownGood"):
        source = at(new, "status", "config", field)
        errors += _config_source(source, f"status.config.{field}", in_spec=False)
    errors += taints(spec.get("taints") or (), "metadata.taints")
    if spec.get("externalID", "") != before.get("externalID", ""):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def _resources(node: Obj) -> list[FieldError]:
    status = node.get("status") or {}
    return [
        error
        for field in ("capacity", "allocatable")
        for name, value in sorted((status.get(field) or {}).items())
        for error in quantity(name, value, f"status.{field}.{name}")
    ]


def _features(node: Obj) -> list[FieldError]:
    """What the kubelet says it can do: well-named, sorted, each once."""
    features: Sequence[str] = at(node, "status", "declaredFeatures", default=())
    errors: list[FieldError] = []
    for index, feature in enumerate(features):
        path = f"status.declaredFeatures[{index}]"
        before = features[index - 1] if index else ""
        if index and before == feature:
            errors.append(duplicate(path, feature))
        elif before > feature:
            errors.append(invalid(path, feature, "list must be sorted alphabetically"))
        why = "" if _FEATURE.fullmatch(feature) else _FEATURE_TEXT
        if len(feature.encode()) > names.DNS_SUBDOMAIN_MAX:
            why = names.max_length_text(names.DNS_SUBDOMAIN_MAX)
        if why:
            errors.append(
                invalid(path, feature, f"invalid feature name {go_quoted(feature)}: {why}")
            )
    return errors


def _ranges(ranges: list[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, cidr in enumerate(ranges):
        errors += legacy_network(cidr, f"{_RANGES}[{index}]")
    if len(ranges) > 1 and not errors:
        versions = {network.version for cidr in ranges if (network := parse_network(cidr))}
        if len(versions) < 2 or len(ranges) > 2:
            text = "may specify no more than one CIDR for each IP family"
            errors.append(invalid(_RANGES, ranges, text))
    return errors


def _kept_ranges(now: list[str], then: list[str]) -> list[FieldError]:
    text = 'node updates may not change podCIDR except from "" to valid'
    if then and len(now) != len(then):
        return [forbidden(_RANGES, text)]
    return [forbidden(_RANGES, text) for one, two in zip(now, then, strict=False) if one != two]


def _config_source(source: Obj | None, path: str, *, in_spec: bool) -> list[FieldError]:
    """Where a kubelet once could take its configuration from (removed, KEP-281)."""
    if source is None:
        return []
    reference = source.get("configMap")
    if reference is None:
        shown = go_form(source, "core.v1.NodeConfigSource")
        return [invalid(path, shown, "exactly one reference subfield must be non-nil")]
    where = f"{path}.configMap"
    errors: list[FieldError] = []
    for field in ("uid", "resourceVersion"):
        if in_spec and reference.get(field):
            errors.append(forbidden(f"{where}.{field}", f"{field} must not be set in spec"))
        elif not in_spec and not reference.get(field):
            errors.append(required(f"{where}.{field}"))
    for field, check in (
        ("namespace", names.dns_label),
        ("name", names.dns_subdomain),
        ("kubeletConfigKey", names.config_map_key),
    ):
        errors += named(reference.get(field, ""), f"{where}.{field}", check)
    return errors
