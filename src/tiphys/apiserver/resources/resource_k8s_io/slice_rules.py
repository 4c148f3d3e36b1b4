"""What a slice says of a driver's devices. Upstream: pkg/apis/resource/validation."""

import re
from functools import partial
from typing import Any, Final

from tiphys.api import names as api_names
from tiphys.api.field_errors import (
    FieldError,
    forbidden,
    invalid,
    required,
    too_long,
    too_many,
)
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.resource_k8s_io import device_rules
from tiphys.apiserver.resources.resource_k8s_io.bounded import (
    each_entry,
    each_of,
    unique_of,
)
from tiphys.apiserver.resources.resource_k8s_io.names import (
    QUALIFIED_NAME_MAX,
    label,
    pool_name,
    qualified_name,
)
from tiphys.apiserver.resources.resource_k8s_io.request_policy import request_policy
from tiphys.apiserver.resources.rules.scheduling import node_selector
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import each, immutable
from tiphys.apiserver.resources.storage.rules import driver_name

DEVICES_MAX: Final = 128  # ResourceSliceMaxDevices
DEVICES_WITH_MORE_MAX: Final = 64  # ResourceSliceMaxDevicesWithAdvancedFeatures
COUNTER_SETS_MAX: Final = 8  # ResourceSliceMaxCounterSets
COUNTERS_MAX: Final = 32  # ResourceSliceMaxCountersPerCounterSet, ...PerDeviceCounterConsumption
CONSUMPTIONS_MAX: Final = 2  # ResourceSliceMaxDeviceCounterConsumptionsPerDevice
PROPERTIES_MAX: Final = 32  # ResourceSliceMaxAttributesAndCapacitiesPerDevice
TAINTS_MAX: Final = 16  # DeviceTaintsMaxLength
TEXT_BYTES_MAX: Final = 64  # DeviceAttributeMaxValueLength
_LABEL_MAX: Final = 63
_SEMVER: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?\Z",
    re.ASCII,
)
_WHERE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)
_DEVICE_WHERE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
    "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_NOT_PER_DEVICE: Final = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set "
    "to true in the ResourceSlice spec"
)
_UNSET_OR_TRUE: Final = "must be either unset or set to true"


def validate(resource_slice: Obj) -> list[FieldError]:
    return _spec(resource_slice["spec"], None)


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return _spec(new["spec"], old["spec"])


def _spec(spec: Obj, before: Obj | None) -> list[FieldError]:
    errors = driver_name(spec.get("driver", ""), "spec.driver")
    errors += _pool(spec.get("pool") or {}, "spec.pool")
    if before is not None:
        then = before.get("pool") or {}
        errors += immutable(
            (spec.get("pool") or {}).get("name"), then.get("name"), "spec.pool.name"
        )
        for field in ("driver", "nodeName"):
            errors += immutable(spec.get(field), before.get(field), f"spec.{field}")
    errors += _nodes(spec)
    if spec.get("sharedCounters") and spec.get("devices"):
        text = "only one of `sharedCounters` or `devices` is allowed"
        errors.append(invalid("spec", "", text))
    devices = spec.get("devices") or ()
    old = {d.get("name"): d for d in (before or {}).get("devices") or ()}
    rule = partial(_device, old=old, is_placed=bool(spec.get("perDeviceNodeSelection")))
    has_more = any(d.get("taints") or d.get("consumesCounters") for d in devices)
    bound = DEVICES_WITH_MORE_MAX if has_more else DEVICES_MAX
    errors += unique_of(devices, bound, rule, lambda d: d.get("name", ""), "spec.devices")
    return errors + unique_of(
        spec.get("sharedCounters") or (),
        COUNTER_SETS_MAX,
        _counter_set,
        lambda c: c.get("name", ""),
        "spec.sharedCounters",
    )


def _pool(pool: Obj, path: str) -> list[FieldError]:
    errors = pool_name(pool.get("name", ""), f"{path}.name")
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        errors.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        text = "must be greater than or equal to zero"
        errors.append(invalid(f"{path}.generation", generation, text))
    return errors


def _nodes(spec: Obj) -> list[FieldError]:
    """Which nodes reach the devices of the slice."""
    chosen: list[str] = []
    errors = _node_name(spec, "spec", chosen, "must be either unset or set to a non-empty string")
    errors += _node_selector(spec, "spec", chosen)
    terms = (spec.get("nodeSelector") or {}).get("nodeSelectorTerms")
    if spec.get("nodeSelector") is not None and len(terms or ()) != 1:
        shown = None if terms is None else [go_form(t, "core.v1.NodeSelectorTerm") for t in terms]
        text = "must have exactly one node selector term"
        errors.append(invalid("spec.nodeSelector.nodeSelectorTerms", shown, text))
    for field in ("allNodes", "perDeviceNodeSelection"):
        errors += _flag(spec, field, "spec", chosen)
    return errors + _one_of(chosen, "spec", _WHERE, f"{_WHERE}, but multiple fields are set")


def _node_name(obj: Obj, path: str, chosen: list[str], empty: str) -> list[FieldError]:
    name = obj.get("nodeName")
    if name is None:
        return []
    if not name:
        return [invalid(f"{path}.nodeName", name, empty)]
    chosen.append("`nodeName`")
    return each(f"{path}.nodeName", name, api_names.dns_subdomain(name))


def _node_selector(obj: Obj, path: str, chosen: list[str]) -> list[FieldError]:
    if obj.get("nodeSelector") is None:
        return []
    chosen.append("`nodeSelector`")
    return node_selector(obj["nodeSelector"], f"{path}.nodeSelector")


def _flag(obj: Obj, field: str, path: str, chosen: list[str]) -> list[FieldError]:
    value = obj.get(field)
    if value is False:
        return [invalid(f"{path}.{field}", False, _UNSET_OR_TRUE)]
    if value:
        chosen.append(f"`{field}`")
    return []


def _one_of(chosen: list[str], path: str, none: str, several: str) -> list[FieldError]:
    if not chosen:
        return [required(path, none)]
    if len(chosen) > 1:
        return [invalid(path, f"{{{', '.join(chosen)}}}", several)]
    return []


def _device(device: Obj, path: str, old: dict[str, Obj], *, is_placed: bool) -> list[FieldError]:
    before = old.get(device.get("name", ""))
    errors = label(device.get("name", ""), f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > PROPERTIES_MAX:
        text = f"the total number of attributes and capacities must not exceed {PROPERTIES_MAX}"
        errors.append(invalid(path, len(attributes) + len(capacity), text))
    where = f"{path}.attributes"
    errors += each_entry(attributes, qualified_name, _attribute, where, QUALIFIED_NAME_MAX)
    if before is None or not semantically_equal(before.get("capacity") or {}, capacity):
        rule = _shared_capacity if device.get("allowMultipleAllocations") else _capacity
        where = f"{path}.capacity"
        errors += each_entry(capacity, qualified_name, rule, where, QUALIFIED_NAME_MAX)
    taints = device.get("taints") or []
    if before is None or not semantically_equal(before.get("taints") or [], taints):
        errors += each_of(taints, TAINTS_MAX, device_rules.taint, f"{path}.taints")
    errors += unique_of(
        device.get("consumesCounters") or (),
        CONSUMPTIONS_MAX,
        _consumption,
        lambda c: c.get("counterSet", ""),
        f"{path}.consumesCounters",
    )
    errors += _device_nodes(device, path, is_placed=is_placed)
    return errors + device_rules.binding_conditions(device, path)


def _device_nodes(device: Obj, path: str, *, is_placed: bool) -> list[FieldError]:
    fields = ("nodeName", "nodeSelector", "allNodes")
    if not is_placed:
        given = any(device.get(field) is not None for field in fields)
        return [invalid(path, None, _NOT_PER_DEVICE)] if given else []
    chosen: list[str] = []
    errors = _node_name(device, path, chosen, "must not be empty")
    errors += _node_selector(device, path, chosen)
    errors += _flag(device, "allNodes", path, chosen)
    return errors + _one_of(chosen, path, _DEVICE_WHERE, _DEVICE_WHERE)


def _attribute(attribute: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    given = [f for f in ("bool", "int", "string", "version") if attribute.get(f) is not None]
    if "string" in given and len(attribute["string"].encode()) > TEXT_BYTES_MAX:
        errors.append(too_long(f"{path}.string", TEXT_BYTES_MAX))
    if "version" in given:
        errors += _version(attribute["version"], f"{path}.version")
    text = "exactly one value must be specified"
    if not given:
        errors.append(invalid(path, "", text))
    elif len(given) > 1:
        errors.append(invalid(path, go_form(attribute, "resource.v1.DeviceAttribute"), text))
    return errors


def _version(value: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not _SEMVER.match(value):
        text = "must be a string compatible with semver.org spec 2.0.0"
        errors.append(invalid(path, value, text))
    if len(value.encode()) > TEXT_BYTES_MAX:
        errors.append(too_long(path, TEXT_BYTES_MAX))
    return errors


def _capacity(capacity: Obj, path: str) -> list[FieldError]:
    if capacity.get("requestPolicy") is None:
        return []
    return [forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")]


def _shared_capacity(capacity: Obj, path: str) -> list[FieldError]:
    policy = capacity.get("requestPolicy")
    if policy is None:
        return []
    return request_policy(capacity.get("value") or "0", policy, f"{path}.requestPolicy")


def _counter_set(counters: Obj, path: str) -> list[FieldError]:
    return _counters(counters, "name", path)


def _consumption(consumption: Obj, path: str) -> list[FieldError]:
    return _counters(consumption, "counterSet", path)


def _counters(obj: Obj, name_field: str, path: str) -> list[FieldError]:
    name, counters = obj.get(name_field, ""), obj.get("counters") or {}
    errors = label(name, f"{path}.{name_field}") if name else [required(f"{path}.{name_field}")]
    where = f"{path}.counters"
    if not counters:
        return [*errors, required(where)]
    if len(counters) > COUNTERS_MAX:
        return [*errors, too_many(where, len(counters), COUNTERS_MAX)]
    return errors + each_entry(counters, label, _any_amount, where, _LABEL_MAX)


def _any_amount(counter: Any, path: str) -> list[FieldError]:
    """Whatever could be read is a counter."""
    del counter, path
    return []
