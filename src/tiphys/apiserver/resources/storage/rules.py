"""Validation of storage.k8s.io kinds. Upstream: pkg/apis/storage/validation/validation.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    required,
    too_long,
)
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import (
    IMMUTABLE,
    NOT_NEGATIVE,
    each,
    immutable,
    label_name,
    unsupported,
)

_DRIVER_NAME_MAX: Final = 63
_TOKEN_SECONDS_MIN: Final = 600
_UPDATE_PERIOD_MIN: Final = 10
_GROUP_POLICIES: Final = ("File", "None", "ReadWriteOnceWithFSType")


def driver_name(name: str, path: str) -> list[FieldError]:
    errors = [] if name else [required(path)]
    if len(name) > _DRIVER_NAME_MAX:
        errors.append(too_long(path, _DRIVER_NAME_MAX))
    return errors + each(path, name, names.dns_subdomain(name.lower()))


def storage_class(obj: Obj) -> list[FieldError]:
    provisioner = obj.get("provisioner", "")
    errors = [] if provisioner else [required("provisioner")]
    if provisioner:
        errors += each("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    mode = obj.get("volumeBindingMode", "")
    valid = ("Immediate", "WaitForFirstConsumer")
    if mode not in valid:
        errors.append(unsupported("volumeBindingMode", mode, valid))
    policy = obj.get("reclaimPolicy", "")
    if policy not in {"Delete", "Retain"}:
        errors.append(unsupported("reclaimPolicy", policy, ("Delete", "Retain")))
    for index, term in enumerate(obj.get("allowedTopologies") or ()):
        errors += _topology(term, f"allowedTopologies[{index}]")
    return errors


def _topology(term: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, expression in enumerate(term.get("matchLabelExpressions") or ()):
        where = f"{path}.matchLabelExpressions[{index}]"
        key, values = expression.get("key", ""), expression.get("values") or []
        if not values:
            errors.append(required(f"{where}.values"))
        for at, value in enumerate(values):
            if value in values[:at]:
                errors.append(duplicate(f"{where}.values[{at}]", value))
        errors += label_name(key, f"{where}.key")
        if key in seen:
            errors.append(duplicate(f"{where}.key", key))
        seen.add(key)
    return errors


def storage_class_update(new: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        errors.append(forbidden("parameters", "updates to parameters are forbidden."))
    if new.get("provisioner") != old.get("provisioner"):
        errors.append(forbidden("provisioner", "updates to provisioner are forbidden."))
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        errors.append(forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    mode = new.get("volumeBindingMode")
    return errors + immutable(mode, old.get("volumeBindingMode"), "volumeBindingMode")


def csi_driver(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    needed = ("attachRequired", "podInfoOnMount", "storageCapacity")
    errors = [required(f"spec.{field}") for field in needed if spec.get(field) is None]
    policy = spec.get("fsGroupPolicy", "")
    if policy not in _GROUP_POLICIES:
        errors.append(unsupported("spec.fsGroupPolicy", policy, _GROUP_POLICIES))
    errors += _token_requests(spec)
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in {"Persistent", "Ephemeral"}:
            valid = ("Persistent", "Ephemeral")
            errors.append(unsupported("spec.volumeLifecycleModes", mode, valid))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < _UPDATE_PERIOD_MIN:
        text = f"must be greater than or equal to {_UPDATE_PERIOD_MIN} seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, text))
    if spec.get("serviceAccountTokenInSecrets") and not spec.get("tokenRequests"):
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        errors.append(invalid("spec.serviceAccountTokenInSecrets", True, text))
    return errors


def _token_requests(spec: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        path, audience = f"spec.tokenRequests[{index}]", request.get("audience", "")
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        where = f"{path}.expirationSeconds"
        if seconds is not None and seconds < _TOKEN_SECONDS_MIN:
            text = "may not specify a duration less than 10 minutes"
            errors.append(invalid(where, seconds, text))
        if seconds is not None and seconds > 1 << 32:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(where, seconds, text))
    return errors


def csi_driver_update(new: Obj, old: Obj) -> list[FieldError]:
    return [
        error
        for field in ("attachRequired", "volumeLifecycleModes")
        for error in immutable(new["spec"].get(field), old["spec"].get(field), f"spec.{field}")
    ]


def csi_node(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, driver in enumerate(obj["spec"].get("drivers") or ()):
        path, name = f"spec.drivers[{index}]", driver.get("name", "")
        errors += driver_name(name, f"{path}.name")
        if not driver.get("nodeID"):
            errors.append(required(f"{path}.nodeID"))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            errors.append(invalid(f"{path}.allocatable.count", count, NOT_NEGATIVE))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        keys: set[str] = set()
        for key in driver.get("topologyKeys") or ():
            if not key:
                errors.append(required(path))
            if key in keys:
                errors.append(duplicate(path, key))
            keys.add(key)
            errors += each(path, key, names.qualified_name(key))
    return errors


def volume_attachment(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = driver_name(spec.get("attacher", ""), "spec.attacher")
    source = spec.get("source") or {}
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and name is None:
        errors.append(required("spec.source", text))
    elif inline is not None and name is not None:
        errors.append(forbidden("spec.source", text))
    if name is not None:
        where = "spec.source.persistentVolumeName"
        errors += [required(where)] if not name else each(where, name, names.dns_subdomain(name))
    node = spec.get("nodeName", "")
    return errors + each("spec.nodeName", node, names.dns_subdomain(node))


def volume_attachment_update(new: Obj, old: Obj) -> list[FieldError]:
    if new["spec"] == old["spec"]:
        return []
    return [invalid("spec", new["spec"], IMMUTABLE)]


def volume_attributes_class(obj: Obj) -> list[FieldError]:
    name, parameters = obj.get("driverName", ""), obj.get("parameters") or {}
    errors = [] if name else [required("driverName")]
    if name:
        errors += each("driverName", name, names.qualified_name(name.lower()))
    if not parameters:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    for key in parameters:
        if not key:
            errors.append(invalid("parameters", key, "field can not be empty."))
    return errors


def volume_attributes_class_update(new: Obj, old: Obj) -> list[FieldError]:
    return [
        forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if new.get(field) != old.get(field)
    ]
