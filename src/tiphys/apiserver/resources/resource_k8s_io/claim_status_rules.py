"""What a claim's status may say: who uses it, what it was given.

Upstream: pkg/apis/resource/validation (validateResourceClaimStatusUpdate).
"""

from functools import partial
from typing import Final

from tiphys.api.field_errors import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from tiphys.api.go_form import go_form
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.resource_k8s_io import device_rules
from tiphys.apiserver.resources.resource_k8s_io.bounded import each_of, itself, unique_of
from tiphys.apiserver.resources.resource_k8s_io.claim_rules import (
    Requests,
    request_name,
    request_names,
    requests_of,
)
from tiphys.apiserver.resources.resource_k8s_io.names import label, pool_name, uid
from tiphys.apiserver.resources.rules.addresses import interface_address
from tiphys.apiserver.resources.rules.conditions import conditions
from tiphys.apiserver.resources.rules.scheduling import node_selector
from tiphys.apiserver.resources.rules.semantic import semantically_equal
from tiphys.apiserver.resources.rules.texts import IMMUTABLE
from tiphys.apiserver.resources.storage.rules import driver_name

RESERVED_MAX: Final = 256  # ResourceClaimReservedForMaxSize
RESULTS_MAX: Final = 32  # AllocationResultsMaxSize
DEVICE_CONDITIONS_MAX: Final = 8  # AllocatedDeviceStatusMaxConditions
DATA_BYTES_MAX: Final = 10 * 1024  # AllocatedDeviceStatusDataMaxLength
INTERFACE_NAME_MAX: Final = 256  # NetworkDeviceDataInterfaceNameMaxLength
HARDWARE_ADDRESS_MAX: Final = 128  # NetworkDeviceDataHardwareAddressMaxLength
ADDRESSES_MAX: Final = 16  # NetworkDeviceDataMaxIPs
_WITHOUT_BOUND: Final = 1 << 62
_SOURCES: Final = ("FromClaim", "FromClass")
_RESERVED: Final = "status.reservedFor"


def validate_status_update(new: Obj, old: Obj) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    reserved = status.get("reservedFor") or []
    errors = unique_of(reserved, RESERVED_MAX, _consumer, lambda c: c.get("uid", ""), _RESERVED)
    allocation, then = status.get("allocation"), before.get("allocation")
    given = {_device_id(r) for r in ((allocation or {}).get("devices") or {}).get("results") or ()}
    device = partial(_device_status, given=given)
    devices = status.get("devices") or ()
    errors += unique_of(devices, _WITHOUT_BOUND, device, _device_id, "status.devices")
    if reserved and allocation is None:
        text = "may not be specified when `allocated` is not set"
        errors.append(forbidden(_RESERVED, text))
    elif reserved and new["metadata"].get("deletionTimestamp"):
        errors += _added(reserved, before.get("reservedFor") or [])
    if allocation is None:
        return errors
    if then is None:
        return errors + _allocation(allocation, "status.allocation", requests_of(new["spec"]))
    if semantically_equal(allocation, then):
        return errors
    shown = go_form(allocation, "resource.v1.AllocationResult")
    return [*errors, invalid("status.allocation", shown, IMMUTABLE)]


def _added(reserved: list[Obj], before: list[Obj]) -> list[FieldError]:
    if all(consumer in before for consumer in reserved):
        return []
    text = (
        "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
    )
    return [forbidden(_RESERVED, text)]


def _consumer(consumer: Obj, path: str) -> list[FieldError]:
    fields = ("resource", "name", "uid")
    return [required(f"{path}.{field}") for field in fields if not consumer.get(field)]


def _device_id(device: Obj) -> str:
    """As upstream writes it: driver, pool and device, and the share of a shared one."""
    text = "/".join(str(device.get(f, "")) for f in ("driver", "pool", "device"))
    share = device.get("shareID")
    return text if share is None else f"{text}/{share}"


def _allocation(allocation: Obj, path: str, known: Requests) -> list[FieldError]:
    devices, where = allocation.get("devices") or {}, f"{path}.devices"
    result = partial(_result, known=known)
    errors = each_of(devices.get("results") or (), RESULTS_MAX, result, f"{where}.results")
    config = partial(_config, known=known)
    configs_max = 2 * device_rules.CONFIGS_MAX  # The class's and the claim's.
    errors += each_of(devices.get("config") or (), configs_max, config, f"{where}.config")
    if allocation.get("nodeSelector") is not None:
        errors += node_selector(allocation["nodeSelector"], f"{path}.nodeSelector")
    return errors


def _result(result: Obj, path: str, known: Requests) -> list[FieldError]:
    errors = request_name(result.get("request", ""), f"{path}.request", known)
    errors += driver_name(result.get("driver", ""), f"{path}.driver")
    errors += pool_name(result.get("pool", ""), f"{path}.pool")
    errors += label(result.get("device", ""), f"{path}.device")
    errors += device_rules.binding_conditions(result, path)
    if result.get("shareID") is not None:
        errors += uid(result["shareID"], f"{path}.shareID")
    return errors


def _config(config: Obj, path: str, known: Requests) -> list[FieldError]:
    source = config.get("source", "")
    errors: list[FieldError] = []
    if not source:
        errors.append(required(f"{path}.source"))
    elif source not in _SOURCES:
        errors.append(not_supported(f"{path}.source", source, _SOURCES))
    errors += request_names(config.get("requests"), f"{path}.requests", known)
    return errors + device_rules.configuration(config, path)


def _device_status(device: Obj, path: str, given: set[str]) -> list[FieldError]:
    errors = driver_name(device.get("driver", ""), f"{path}.driver")
    errors += pool_name(device.get("pool", ""), f"{path}.pool")
    errors += label(device.get("device", ""), f"{path}.device")
    if device.get("shareID") is not None:
        errors += uid(device["shareID"], f"{path}.shareID")
    if _device_id(device) not in given:
        text = "must be an allocated device in the claim"
        errors.append(invalid(path, _device_id(device), text))
    found = device.get("conditions") or []
    if len(found) > DEVICE_CONDITIONS_MAX:
        errors.append(too_many(f"{path}.conditions", len(found), DEVICE_CONDITIONS_MAX))
    errors += conditions(found, f"{path}.conditions")
    if device.get("data") is not None:
        errors += device_rules.raw(device["data"], f"{path}.data", DATA_BYTES_MAX)
    return errors + _network(device.get("networkData") or {}, f"{path}.networkData")


def _network(data: Obj, path: str) -> list[FieldError]:
    bounds = {"interfaceName": INTERFACE_NAME_MAX, "hardwareAddress": HARDWARE_ADDRESS_MAX}
    errors = [
        too_long(f"{path}.{field}", bound)
        for field, bound in bounds.items()
        if len(data.get(field, "").encode()) > bound
    ]
    ips = data.get("ips") or ()
    return errors + unique_of(ips, ADDRESSES_MAX, interface_address, itself, f"{path}.ips")
