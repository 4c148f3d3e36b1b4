"""The spec of a persistent volume claim, also as a template in pods and stateful sets.

Upstream: pkg/apis/core/validation/validation.go (ValidatePersistentVolumeClaimSpec).
"""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, not_supported, required
from tiphys.api.meta import Obj
from tiphys.api.quantity import of
from tiphys.apiserver.resources.rules.texts import each, label_selector

ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def access_modes(modes: list[str], path: str) -> list[FieldError]:
    """Of a persistent volume too."""
    errors = [not_supported(path, m, ACCESS_MODES) for m in modes if m not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(set(modes) & set(ACCESS_MODES)) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        errors.append(forbidden(path, text))
    return errors


def claim_spec(spec: Obj, path: str) -> list[FieldError]:
    modes = spec.get("accessModes") or []
    text = "at least 1 access mode is required"
    errors = [] if modes else [required(f"{path}.accessModes", text)]
    errors += label_selector(spec.get("selector"), f"{path}.selector")
    errors += access_modes(modes, f"{path}.accessModes")
    storage = (spec.get("resources") or {}).get("requests", {}).get("storage")
    where = f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(where))
    elif of(storage).nanos <= 0:
        errors.append(invalid(where, storage, "must be greater than zero"))
    name = spec.get("storageClassName")
    if name:
        errors += each(f"{path}.storageClassName", name, names.dns_subdomain(name))
    if spec.get("volumeMode") is not None:
        mode, modes = spec["volumeMode"], ["Block", "Filesystem"]
        if mode not in modes:
            errors.append(not_supported(f"{path}.volumeMode", mode, modes))
    errors += _data_sources(spec, path)
    errors += _foreign_source(spec, path)
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and ref is not None and not ref.get("namespace") and source != ref:
        errors.append(invalid(path, {}, "must match dataSourceRef"))
    name = spec.get("volumeAttributesClassName")
    if name:
        errors += each(f"{path}.volumeAttributesClassName", name, names.dns_subdomain(name))
    return errors


def _foreign_source(spec: Obj, path: str) -> list[FieldError]:
    namespace = (spec.get("dataSourceRef") or {}).get("namespace")
    if not namespace:
        return []
    where = f"{path}.dataSourceRef.namespace"
    errors = each(where, namespace, names.dns_label(namespace))
    if spec.get("dataSource") is not None:
        text = "may not be specified when dataSourceRef.namespace is specified"
        errors.append(invalid(path, {}, text))
    return errors


def _data_sources(spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("dataSource", "dataSourceRef"):
        source = spec.get(field)
        if source is None:
            continue
        where = f"{path}.{field}"
        if not source.get("name"):
            errors.append(required(f"{where}.name"))
        if not source.get("kind"):
            errors.append(required(f"{where}.kind"))
        wrong_kind = source.get("kind") != "PersistentVolumeClaim"
        if source.get("apiGroup"):
            group = source["apiGroup"]
            errors += each(f"{where}.apiGroup", group, names.dns_subdomain(group))
        elif wrong_kind:
            text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            errors.append(invalid(where, source.get("kind", ""), text))
    return errors
