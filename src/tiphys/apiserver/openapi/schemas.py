"""OpenAPI definitions from the schema table, for v2 and v3 alike.

Descriptions are not part of the table; `openapi.descriptions` reads them elsewhere, for v3.
Upstream: api/openapi-spec, kube-openapi pkg/generators.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tiphys.api import enums
from tiphys.api.meta import Obj
from tiphys.api.resources import GROUP_VERSIONS, schema_package
from tiphys.api.schema import SCHEMA, Field, TypeDef
from tiphys.apiserver.openapi.defaults import default_of
from tiphys.apiserver.openapi.descriptions import NOTHING, Description

_PREFIXES: Final = {
    "meta.v1": "io.k8s.apimachinery.pkg.apis.meta.v1",
    "am.version": "io.k8s.apimachinery.pkg.version",
    "apiregistration.v1": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    "apiextensions.v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
}
_EXTENSIONS: Final = _PREFIXES["apiextensions.v1"]
_META: Final = _PREFIXES["meta.v1"]

# What a patch is called; it may say anything.
PATCH: Final = f"{_META}.Patch"
PATCH_BODY: Final[Obj] = {
    "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH"
    " request body.",
    "type": "object",
}

# Kinds of values that are definitions of their own: letter -> (name, body).
SPECIAL: Final[Mapping[str, tuple[str, Obj]]] = {
    "T": (f"{_META}.Time", {"type": "string", "format": "date-time"}),
    "U": (f"{_META}.MicroTime", {"type": "string", "format": "date-time"}),
    "Q": ("io.k8s.apimachinery.pkg.api.resource.Quantity", {"type": "string"}),
    "I": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"type": "string", "format": "int-or-string"},
    ),
    "R": ("io.k8s.apimachinery.pkg.runtime.RawExtension", {"type": "object"}),
    "J": (f"{_EXTENSIONS}.JSON", {}),
    "F": (f"{_META}.FieldsV1", {"type": "object"}),
    "A": (f"{_EXTENSIONS}.JSONSchemaPropsOrArray", {}),
    "B": (f"{_EXTENSIONS}.JSONSchemaPropsOrBool", {}),
    "C": (f"{_EXTENSIONS}.JSONSchemaPropsOrStringArray", {}),
}
# Of v3, which has words for values of two types. Upstream: GenerateOpenAPIV3OneOfSchema.
_OF_V3: Final[Mapping[str, Obj]] = {
    "Q": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "I": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
}
_SCALARS: Final[Mapping[str, Obj]] = {
    "s": {"type": "string"},
    "i": {"type": "integer", "format": "int32"},
    "l": {"type": "integer", "format": "int64"},
    "b": {"type": "boolean"},
    "y": {"type": "string", "format": "byte"},
    "e": {"type": "number", "format": "double"},
}
_ANY_GROUP_KINDS: Final = frozenset({"DeleteOptions", "WatchEvent"})
_TYPE_META: Final = ("apiVersion", "kind")


def definition_name(type_name: str) -> str:
    """`io.k8s.api.apps.v1.Deployment` for apps.v1.Deployment."""
    package, _, short = type_name.rpartition(".")
    return f"{_PREFIXES.get(package) or f'io.k8s.api.{package}'}.{short}"


class Definitions:
    """Bodies of definitions; `ref` is how a document points at one."""

    def __init__(self, ref_prefix: str, *, wraps_refs: bool) -> None:
        self._prefix = ref_prefix
        self._wraps = wraps_refs  # v3 cannot have anything beside a $ref.

    def ref(self, name: str) -> Obj:
        return {"$ref": f"{self._prefix}{name}"}

    def wrapped(self, name: str) -> Obj:
        """A reference that something may stand beside, where the version has a way to say so."""
        found = self.ref(name)
        return {"allOf": [found]} if self._wraps else found

    def of(self, type_name: str, description: Description = NOTHING) -> Obj:
        definition = SCHEMA.types[type_name]
        properties: Obj = {}
        if definition.is_root:
            properties = {n: dict(_SCALARS["s"]) for n in _TYPE_META}
        properties |= {f.name: self._property(f, definition) for f in definition.fields.values()}
        for name, text in description.fields.items():
            if name in properties:
                properties[name]["description"] = text
        properties = {name: _unwrapped(body) for name, body in properties.items()}
        body: Obj = {"type": "object"}
        if description.text:
            body["description"] = description.text
        if properties:
            body["properties"] = properties
        if required := [f.name for f in definition.fields.values() if f.required]:
            body["required"] = required
        if definition.is_root and (kinds := group_version_kinds(definition)):
            body["x-kubernetes-group-version-kind"] = kinds
        if definition.atomic:
            body["x-kubernetes-map-type"] = "atomic"
        return body

    def _property(self, field: Field, of: TypeDef) -> Obj:
        one = self._value(field, of)
        default = default_of(field, of) if self._wraps else None  # None of v2 has one.
        if default is not None:
            one["default"] = default
        match field.container:
            case "":
                body = one
            case "list":
                body = {"type": "array", "items": one}
            case "map":
                body = {"type": "object", "additionalProperties": one}
            case _:
                inner = {"type": "array", "items": one}
                body = {"type": "object", "additionalProperties": inner}
        return body | _extensions(field, of)

    def _value(self, field: Field, of: TypeDef) -> Obj:
        # Nothing stands beside what an item or entry is.
        to = self.ref if field.container else self.wrapped
        if field.ref:
            return to(definition_name(field.ref))
        kind = "F" if field.go_name == "FieldsV1" else field.kind
        if kind in SPECIAL:
            return to(SPECIAL[kind][0])
        body = dict(_SCALARS[kind])
        # Clients of v2 find out what a value may be from v3.
        if self._wraps and kind == "s" and (values := enums.values_of(of.package, field.go_name)):
            body["enum"] = list(values)
        return body


def _unwrapped(body: Obj) -> Obj:
    """A reference beside which nothing stands is one."""
    found: Obj = body["allOf"][0] if [*body] == ["allOf"] else body
    return found


def _extensions(field: Field, of: TypeDef) -> Obj:
    found: Obj = {}
    if list_type := _list_type(field, of):
        found["x-kubernetes-list-type"] = list_type
    if field.map_keys:
        found["x-kubernetes-list-map-keys"] = list(field.map_keys)
    if field.map_type:
        found["x-kubernetes-map-type"] = field.map_type
    if field.patch_merge_key:
        found["x-kubernetes-patch-merge-key"] = field.patch_merge_key
    if field.patch_strategy:
        found["x-kubernetes-patch-strategy"] = ",".join(field.patch_strategy)
    return found


def _list_type(field: Field, of: TypeDef) -> str:
    """Every list says how it merges, but those of objects and verbs."""
    of_objects = field.name == "items" and of.is_root and of.short_name.endswith("List")
    if field.container != "list" or of_objects or field.go_name == "Verbs":
        return ""
    return field.list_type or "atomic"


def group_version_kinds(definition: TypeDef) -> list[Obj]:
    """What a root type is called on the wire; options belong to every group."""
    kind = definition.short_name
    if definition.package == "meta.v1":
        if kind in _ANY_GROUP_KINDS:
            return [_kind(g.group, g.version, kind) for g in GROUP_VERSIONS]
        return [_kind("", "v1", kind)]
    return [
        _kind(g.group, g.version, kind) for g in GROUP_VERSIONS if g.package == definition.package
    ]


def _kind(group: str, version: str, kind: str) -> Obj:
    return {"group": group, "version": version, "kind": kind}


def reachable(roots: Iterable[str]) -> list[str]:
    """The types that roots lead to, themselves included, sorted."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(SCHEMA.types[name])
    return sorted(found)


def _references(definition: TypeDef) -> Iterator[str]:
    for field in definition.fields.values():
        if field.ref:
            yield field.ref
        elif field.kind in "ABC":
            yield "apiextensions.v1.JSONSchemaProps"


def schema_type_of(group: str, version: str, kind: str) -> str | None:
    """The schema's name of a kind, or None where it has no body (logs, exec options)."""
    name = f"{schema_package(group, version)}.{kind}"
    return name if name in SCHEMA.types else None


def special_definitions() -> dict[str, Any]:
    """Of v2."""
    return {name: dict(body) for name, body in SPECIAL.values()}


def special_definitions_of_v3() -> dict[str, Any]:
    return {name: dict(_OF_V3.get(kind, body)) for kind, (name, body) in SPECIAL.items()}
