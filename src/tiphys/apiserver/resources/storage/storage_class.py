"""StorageClass. Upstream: pkg/registry/storage/storageclass."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from tiphys.api.field_errors import FieldError, duplicate, not_supported, required
from tiphys.api.meta import Obj, annotations_of
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules import warnings
from tiphys.apiserver.resources.rules.texts import immutable, label_name, repeats
from tiphys.apiserver.resources.storage.rules import parameters, provisioner

_INFO = built_in("storage.k8s.io", "v1", "storageclasses")


_BINDING_MODES: Final = ("Immediate", "WaitForFirstConsumer")
_RECLAIM_POLICIES: Final = ("Delete", "Retain")
_FIXED: Final = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
_DUPLICATES_MAX: Final = 1_000  # Told of one class; upstream has no limit.


def default(storage_class: Obj) -> None:
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")


def validate(storage_class: Obj) -> list[FieldError]:
    errors = provisioner(storage_class.get("provisioner", ""), "provisioner")
    errors += parameters(storage_class.get("parameters"), "parameters")
    policy = storage_class.get("reclaimPolicy", "")
    if policy and policy not in _RECLAIM_POLICIES:
        errors.append(not_supported("reclaimPolicy", policy, _RECLAIM_POLICIES))
    mode = storage_class.get("volumeBindingMode", "")
    if mode not in _BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode, _BINDING_MODES))
    return errors + _topologies(storage_class.get("allowedTopologies") or [])


def _topologies(terms: list[Obj]) -> list[FieldError]:
    """Terms that say the same are refused, as often as there is one before; so upstream counts a
    term that says nothing, which it compares with as many empty ones as there are terms."""
    errors: list[FieldError] = []
    seen = Counter({frozenset[tuple[str, frozenset[str]]](): len(terms)})
    room = _DUPLICATES_MAX
    for index, term in enumerate(terms):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        expressions = term.get("matchLabelExpressions") or ()
        errors += _topology(expressions, path)
        found = {e.get("key", ""): frozenset(e.get("values") or ()) for e in expressions}
        said = frozenset(found.items())
        again = min(seen[said], room)
        errors += [duplicate(path, "")] * again
        room -= again
        seen[said] += 1
    return errors


def _topology(expressions: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, expression in enumerate(expressions):
        where = f"{path}[{index}]"
        key, values = expression.get("key", ""), expression.get("values") or []
        if not values:
            errors.append(required(f"{where}.values"))
        errors += [duplicate(f"{where}.values[{at}]", values[at]) for at in repeats(values)]
        errors += label_name(key, f"{where}.key")
        if key in seen:
            errors.append(duplicate(f"{where}.key", key))
        seen.add(key)
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    return [
        error
        for field in _FIXED
        if (new.get(field) or None) != (old.get(field) or None)
        for error in immutable(new.get(field), old.get(field), field)
    ]


def _name(storage_class: Obj, _: datetime) -> Any:
    name = storage_class["metadata"].get("name", "")
    notes = annotations_of(storage_class)
    keys = ("storageclass.kubernetes.io", "storageclass.beta.kubernetes.io")
    is_default = any(notes.get(f"{key}/is-default-class") == "true" for key in keys)
    return f"{name} (default)" if is_default else name


STORAGE_CLASS = Resource(
    _INFO,
    warnings=warnings.storage_class,
    validate=validate,
    validate_update=validate_update,
    columns=columns_of(
        _INFO,
        _name,
        cells.value("provisioner"),
        cells.value("reclaimPolicy", default="Delete"),
        cells.value("volumeBindingMode", default="Immediate"),
        cells.value("allowVolumeExpansion", default=False),
        cells.age,
    ),
    default=default,
)
