"""One served version of a CustomResourceDefinition: what the generic verbs need to know of it.

Upstream: apiextensions-apiserver pkg/registry/customresource (strategy.go, status_strategy.go,
etcd.go), pkg/apiserver/customresource_handler.go.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tiphys.api.errors import InternalError, StatusCause
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import GroupVersionKind, Obj, at
from tiphys.api.resources import ResourceInfo, SubresourceInfo
from tiphys.apiserver.custom_resources import printing
from tiphys.apiserver.custom_resources.defaulting import drop_nulls, fill
from tiphys.apiserver.custom_resources.embedded import coerce, embedded_errors, typed_metadata
from tiphys.apiserver.custom_resources.json_path import find, parse
from tiphys.apiserver.custom_resources.list_types import check_lists
from tiphys.apiserver.custom_resources.pruning import PRESERVES, prune
from tiphys.apiserver.custom_resources.rules import blocking_error, has_rules
from tiphys.apiserver.custom_resources.shapes import root_shape
from tiphys.apiserver.custom_resources.validation import validate
from tiphys.apiserver.resources.resource import Resource
from tiphys.codec.fields.shape import Shape

if TYPE_CHECKING:
    from tiphys.apiserver.custom_resources.rule_validation import RuleValidator

VERBS: Final = (
    *("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"),
)
_SUBRESOURCE_VERBS: Final = ("get", "patch", "update")
_SCALE: Final = GroupVersionKind("autoscaling", "v1", "Scale")
_SCALE_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
_INT32_MAX: Final = 2**31 - 1
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?", re.ASCII)
_STAGES: Final = {None: 2, "beta": 1, "alpha": 0}


def version_rank(name: str) -> tuple[int, int, int, int, str]:
    """Sorts from the worst to the best: v1 before v1beta2 before v1alpha1, all others last."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return (0, 0, 0, 0, "".join(chr(0x10FFFF - ord(c)) for c in name))
    return (1, _STAGES[found[2]], int(found[1]), int(found[3] or 0), "")


def storage_version(definition: Obj) -> str:
    """The version that objects are stored in."""
    versions = definition["spec"]["versions"]
    return str(next(v["name"] for v in versions if v.get("storage")))


@dataclass(slots=True)
class CustomVersion:
    """Implements CustomKind. `names` are those that were accepted."""

    definition: Obj
    version: Obj
    names: Obj
    schema: Obj = field(init=False)
    list_kind: str = field(init=False)
    deprecation: str = field(init=False)
    shape: Shape = field(init=False)
    has_status: bool = field(init=False)
    is_terminating: bool = field(init=False)
    info: ResourceInfo = field(init=False)
    _has_rules: bool = field(init=False)
    _rules: "RuleValidator | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        spec = self.definition["spec"]
        self.schema = at(self.version, "schema", "openAPIV3Schema", default={})
        if spec.get("preserveUnknownFields"):
            self.schema = self.schema | {PRESERVES: True}
        self.list_kind = self.names.get("listKind") or f"{self.names['kind']}List"
        self.has_status = at(self.version, "subresources", "status") is not None
        self.is_terminating = bool(self.definition["metadata"].get("deletionTimestamp"))
        self.info = self._info()
        self.deprecation = self._deprecation()
        self.shape = root_shape(self.schema)
        self._has_rules = has_rules(self.schema)

    def _info(self) -> ResourceInfo:
        spec, names = self.definition["spec"], self.names
        group, version = spec["group"], self.version["name"]
        kind = GroupVersionKind(group, version, names["kind"])
        subresources = {}
        if self.has_status:
            subresources["status"] = SubresourceInfo("status", kind, _SUBRESOURCE_VERBS)
        if self._scale is not None:
            subresources["scale"] = SubresourceInfo("scale", _SCALE, _SUBRESOURCE_VERBS)
        return ResourceInfo(
            group=group,
            version=version,
            plural=names["plural"],
            singular=names.get("singular") or "",
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            verbs=VERBS,
            schema_type="",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=subresources,
            storage_version=f"{group}/{storage_version(self.definition)}",
        )

    def _deprecation(self) -> str:
        """Upstream names a served version that is better, where there is one."""
        if not self.version.get("deprecated"):
            return ""
        told = self.version.get("deprecationWarning")
        if told is not None:
            return str(told)
        group, kind = self.info.group, self.info.kind
        text = f"{group}/{self.version['name']} {kind} is deprecated"
        better = [
            v["name"]
            for v in self.definition["spec"]["versions"]
            if v.get("served") and not v.get("deprecated")
        ]
        best = max(better, key=version_rank, default="")
        if not best or version_rank(best) < version_rank(self.version["name"]):
            return text
        return f"{text}; use {group}/{best} {kind}"

    @property
    def _scale(self) -> Obj | None:
        found: Obj | None = at(self.version, "subresources", "scale")
        return found

    # --- objects on their way in and out

    def decoded(self, loose: Obj) -> tuple[Obj, list[str]]:
        """See CustomKind."""
        obj: Obj = _whole_numbers(loose)
        unknown = typed_metadata(obj, "")
        if obj.get("metadata") is None:
            obj["metadata"] = {}
        self._fill(obj)
        unknown += coerce(obj, self.schema)
        unknown += prune(obj, self.schema)
        named = {"kind": self.info.kind, "apiVersion": self.info.gvk.api_version}
        return named | {k: v for k, v in obj.items() if k not in named}, sorted(unknown)

    def _fill(self, obj: Obj) -> None:
        drop_nulls(obj, self.schema)
        fill(obj, self.schema)

    def from_stored(self, obj: Obj) -> Obj:
        """In this version: what it does not know is gone, what it adds is there."""
        obj["apiVersion"] = self.info.gvk.api_version
        self._fill(obj)
        prune(obj, self.schema)
        return obj

    # --- rules

    def resource(self) -> Resource:
        return Resource(
            self.info,
            before_create=self._before_create,
            before_update=self._before_update,
            validate_create=self._errors,
            validate_update=self._update_errors,
            validate_status_update=self._status_errors,
            warnings=self._warnings,
            columns=printing.columns(self.version),
            selectable_fields=self.selectable_fields(),
            allow_unconditional_update=False,
        )

    def selectable_fields(self) -> dict[str, Callable[[Obj], str]]:
        paths = [f["jsonPath"] for f in self.version.get("selectableFields") or ()]
        return {path.removeprefix("."): _reader(path) for path in paths}

    def _before_create(self, obj: Obj) -> None:
        if self.has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def _before_update(self, new: Obj, old: Obj) -> None:
        if _content(new) != _content(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def _errors(self, obj: Obj) -> list[FieldError]:
        errors = [
            *validate(obj, self.schema),
            *self._scale_errors(obj),
            *embedded_errors(obj, self.schema),
            *check_lists(obj, self.schema),
        ]
        return errors + self._rule_errors(errors, obj, None)

    def _update_errors(self, new: Obj, old: Obj) -> list[FieldError]:
        errors = [
            *validate(new, self.schema, old=old),
            *self._scale_errors(new),
            *embedded_errors(new, self.schema),
            *self._list_errors(new, old),
        ]
        return errors + self._rule_errors(errors, new, old)

    def _rule_validator(self) -> "RuleValidator | None":
        """The rules are compiled with the first object that they are asked of."""
        if not self._has_rules:
            return None
        if self._rules is None:
            from tiphys.apiserver.custom_resources.rule_validation import RuleValidator

            self._rules = RuleValidator(self.schema)
        return self._rules

    def _rule_errors(self, errors: list[FieldError], new: Obj, old: Obj | None) -> list[FieldError]:
        rules = self._rule_validator()
        if rules is None:
            return []
        blocked = blocking_error(errors)
        return [blocked] if blocked is not None else rules.check(new, old).errors

    def _list_errors(self, new: Obj, old: Obj) -> list[FieldError]:
        """An object that was wrong before may stay so."""
        errors = check_lists(new, self.schema)
        return errors if errors and not check_lists(old, self.schema) else []

    def _status_errors(self, new: Obj, old: Obj) -> list[FieldError]:
        """Of the status and of what needs the whole: the rest did not change."""
        status, schema = new.get("status"), (self.schema.get("properties") or {}).get("status")
        errors: list[FieldError] = []
        if status is not None and schema is not None:
            errors += validate(status, schema, under="status", old=old.get("status"))
        errors += [*self._scale_errors(new, spec=False), *self._list_errors(new, old)]
        return errors + self._rule_errors(errors, new, old)

    def _warnings(self, new: Obj, old: Obj | None) -> list[str]:
        found = _finalizer_warnings(new, old)
        rules = self._rule_validator() if old is not None else None
        return found if rules is None else found + rules.check(new, old).warnings

    # --- scale

    def _scale_errors(self, obj: Obj, *, spec: bool = True) -> list[FieldError]:
        if self._scale is None:
            return []
        errors: list[FieldError] = []
        for name in ("specReplicasPath", "statusReplicasPath") if spec else ("statusReplicasPath",):
            path = self._scale[name]
            value = _nested(obj, path)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                errors.append(invalid(path, 0, _wrong_type(path, value, "int64")))
            elif value is not None:
                errors += _replicas_errors(path, value)
        path = self._scale.get("labelSelectorPath") or ""
        selector = _nested(obj, path) if path else None
        if selector is not None and not isinstance(selector, str):
            errors.append(invalid(path, "", _wrong_type(path, selector, "string")))
        return errors

    def replicas_errors(self, replicas: int) -> list[FieldError]:
        """See CustomKind."""
        return _replicas_errors(self._scale_of_version["specReplicasPath"], replicas)

    @property
    def _scale_of_version(self) -> Obj:
        assert self._scale is not None  # Only a version that has one is asked for its scale.
        return self._scale

    def scale_of(self, obj: Obj, *, needs_replicas: bool = True) -> Obj:
        """See CustomKind."""
        scale = self._scale_of_version
        path = scale["specReplicasPath"]
        replicas = _nested(obj, path)
        if replicas is None and needs_replicas:
            raise _internal(f'the spec replicas field "{path}" does not exist')
        if replicas is not None and not isinstance(replicas, int):
            raise _internal(_wrong_type(path, replicas, "int64"))
        found = _nested(obj, scale["statusReplicasPath"])
        status: Obj = {"replicas": found if isinstance(found, int) else 0}
        selector = _nested(obj, scale.get("labelSelectorPath") or "")
        if isinstance(selector, str) and selector:
            status["selector"] = selector
        return {
            "kind": _SCALE.kind,
            "apiVersion": _SCALE.api_version,
            "metadata": {k: obj["metadata"][k] for k in _SCALE_METADATA if k in obj["metadata"]},
            "spec": {"replicas": replicas} if replicas else {},
            "status": status,
        }

    def with_replicas(self, obj: Obj, replicas: int) -> Obj:
        """See CustomKind."""
        keys = _keys(self._scale_of_version["specReplicasPath"])
        new = _with(obj, keys, replicas) | {"metadata": dict(obj["metadata"])}
        self._before_update(new, obj)
        return new


def _content(obj: Mapping[str, Any]) -> Obj:
    return {k: v for k, v in obj.items() if k not in ("metadata", "apiVersion", "kind")}


def _finalizer_warnings(new: Obj, old: Obj | None) -> list[str]:
    """Finalizers without a domain collide easily."""
    before = set(old["metadata"].get("finalizers") or ()) if old else set()
    return [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name including a path'
        " (/) to avoid accidental conflicts with other finalizer writers"
        for name in new["metadata"].get("finalizers") or ()
        if "/" not in name and name not in before and name not in ("orphan", "foregroundDeletion")
    ]


def _reader(path: str) -> Callable[[Obj], str]:
    steps = parse(path)

    def read(obj: Obj) -> str:
        values = find(steps, obj)
        if not values or values[0] is None:
            return ""
        value = values[0]
        return str(value).lower() if isinstance(value, bool) else str(value)

    return read


def _whole_numbers(value: Any) -> Any:
    """A copy in which 2.0 is 2, as Go writes it."""
    if isinstance(value, dict):
        return {k: _whole_numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(v) for v in value]
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value) if abs(value) < 1e18 else value
    return value


def _keys(path: str) -> list[str]:
    return path.removeprefix(".").split(".")


def _nested(obj: Obj, path: str) -> Any:
    return at(obj, *_keys(path)) if path else None


def _with(value: Any, keys: list[str], leaf: Any) -> Obj:
    """A copy with another value at a path."""
    first, *rest = keys
    base: Obj = dict(value) if isinstance(value, dict) else {}
    base[first] = _with(base.get(first), rest, leaf) if rest else leaf
    return base


def _wrong_type(path: str, value: Any, wanted: str) -> str:
    names = {bool: "bool", int: "int64", float: "float64", str: "string"}
    kind = names.get(type(value), "map[string]interface {}")
    if isinstance(value, list):
        kind = "[]interface {}"
    return f"{path} accessor error: {value} is of the type {kind}, expected {wanted}"


def _replicas_errors(path: str, replicas: int) -> list[FieldError]:
    if replicas < 0:
        return [invalid(path, replicas, "should be a non-negative integer")]
    if replicas > _INT32_MAX:
        return [invalid(path, replicas, f"should be less than or equal to {_INT32_MAX}")]
    return []


def _internal(why: str) -> InternalError:
    return InternalError(f"Internal error occurred: {why}", causes=[StatusCause("", why)])
