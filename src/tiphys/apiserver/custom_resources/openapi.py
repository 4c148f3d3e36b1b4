"""OpenAPI of custom resources: a document of v3 for each version, and what v2 says of them all.

Upstream: apiextensions-apiserver pkg/controller/openapi (builder, v2/conversion.go).
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from tiphys.api.meta import Obj
from tiphys.api.resources import GroupVersionInfo
from tiphys.apiserver.custom_resources.custom_version import CustomVersion
from tiphys.apiserver.openapi import discovery_paths, v2, v3
from tiphys.apiserver.openapi.descriptions import NOTHING, descriptions_of
from tiphys.apiserver.openapi.paths import Operation, operations
from tiphys.apiserver.openapi.schemas import PATCH, Definitions, definition_name, reachable

Key = tuple[str, str, str]
_META: Final = "meta.v1.ObjectMeta"
_SAMPLE: Final = "core.v1.ConfigMap"  # A kind that describes what all kinds have.
_LIST_META: Final = "meta.v1.ListMeta"
_PRODUCED: Final = ("application/json", "application/yaml")
_PATCHES: Final = (
    *("application/json-patch+json", "application/merge-patch+json"),
    "application/apply-patch+yaml",
)
# What v2 has no words for, or clients of v2 read wrongly. Source: ToStructuralOpenAPIV2.
_NOT_IN_V2: Final = frozenset(
    {"oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations"}
)


class CustomDocuments:
    """Documents are made when asked for and kept until a definition changes."""

    def __init__(self) -> None:
        self._versions: dict[Key, CustomVersion] = {}
        self._documents: dict[str, tuple[bytes, str]] = {}  # With their hashes.
        self._v2: Obj | None = None

    def forget(self, versions: Mapping[Key, CustomVersion]) -> None:
        """The versions of now. What was made of others is made anew."""
        before, self._versions = self._versions, dict(versions)
        changed = {
            _path(key)
            for key in before.keys() | versions.keys()
            if before.get(key) is not versions.get(key)
        }
        for path in changed:
            self._documents.pop(path, None)
        self._v2 = None

    def paths(self) -> list[str]:
        """`apis/acme.io/v1` for each document of v3."""
        return sorted({_path(key) for key in self._versions})

    def document(self, path: str, server_version: str) -> tuple[bytes, str]:
        """A document and its hash. Raises KeyError for a path that is not among `paths`."""
        found = self._documents.get(path)
        if found is None:
            own = [version for key, version in self._versions.items() if _path(key) == path]
            if not own:
                raise KeyError(path)
            body = orjson.dumps(_v3(own, server_version))
            found = body, hashlib.sha512(body).hexdigest().upper()
            self._documents[path] = found
        return found

    def v2_parts(self) -> Obj:
        """`paths` and `definitions` to add to the document of v2."""
        if self._v2 is None:
            self._v2 = _v2(self._versions.values())
        return self._v2


def _path(key: Key) -> str:
    return f"apis/{key[0]}/{key[1]}"


def _name(version: CustomVersion, suffix: str = "") -> str:
    """`io.acme.v1.Widget`: a definition's name, the group's labels turned round."""
    info = version.info
    turned = ".".join(reversed(info.group.split(".")))
    kind = version.list_kind if suffix else info.kind
    return f"{turned}.{info.version}.{kind}"


def _definitions(version: CustomVersion, made: Definitions, *, is_v2: bool) -> dict[str, Obj]:
    """The kind and its list."""
    info, schema = version.info, _published(version.schema, made, is_v2=is_v2)
    kinds = [{"group": info.group, "version": info.version, "kind": info.kind}]
    one = _as_resource(schema, made) | {"x-kubernetes-group-version-kind": kinds}
    items = {"type": "array", "items": made.ref(_name(version))}
    listed = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": made.ref(definition_name(_LIST_META)),
            "items": items,
        },
        "x-kubernetes-group-version-kind": [kinds[0] | {"kind": version.list_kind}],
    }
    return {_name(version): one, _name(version, "List"): listed}


def _as_resource(schema: Obj, made: Definitions) -> Obj:
    """With the fields that every object has, said in the words of the built-in ones."""
    texts = descriptions_of([_SAMPLE]).get(_SAMPLE, NOTHING).fields
    own = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    own |= {"metadata": made.wrapped(definition_name(_META))}
    for name, property_ in own.items():
        if name in texts and "$ref" not in property_:
            property_["description"] = texts[name]
    return schema | {"type": "object", "properties": (schema.get("properties") or {}) | own}


def _published(schema: Any, made: Definitions, *, is_v2: bool) -> Any:
    """A schema with its embedded resources as resources, for v2 without what v2 does not know."""
    if not isinstance(schema, dict):
        return schema
    found = {k: v for k, v in schema.items() if not (is_v2 and k in _NOT_IN_V2)}
    if is_v2 and (schema.get("nullable") or schema.get("x-kubernetes-preserve-unknown-fields")):
        # A client of v2 that knows the fields would refuse null, or others.
        found = {k: v for k, v in found.items() if k not in ("properties", "items", "required")}
        if schema.get("nullable"):
            found.pop("type", None)
    for word in ("additionalProperties", "items", "not"):
        if word in found:
            found[word] = _published(found[word], made, is_v2=is_v2)
    if "properties" in found:
        found["properties"] = {
            k: _published(v, made, is_v2=is_v2) for k, v in found["properties"].items()
        }
    if schema.get("x-kubernetes-embedded-resource"):
        return _as_resource(found, made)
    return found


def _v3(versions: list[CustomVersion], server_version: str) -> Obj:
    infos = [version.info for version in versions]
    found = GroupVersionInfo(infos[0].group, infos[0].version, "", 0, 0)
    document = v3.document(infos, [discovery_paths.of_version(found)], server_version)
    made = Definitions("#/components/schemas/", wraps_refs=True)
    schemas = document["components"]["schemas"]
    names = reachable([_META, _LIST_META])
    texts = descriptions_of(names)
    schemas |= {definition_name(n): made.of(n, texts.get(n, NOTHING)) for n in names}
    for version in versions:
        schemas |= _definitions(version, made, is_v2=False)
    for operation, name in _own(versions):
        item = document["paths"][operation.path][operation.method]
        content = {"schema": made.ref(name)}
        if operation.answer in ("object", "list"):
            for code, _ in operation.answers:
                item["responses"][code]["content"] = dict.fromkeys(_PRODUCED, content)
        if operation.body == "object":
            item["requestBody"] = {"content": {"*/*": content}, "required": True}
        if operation.body == "patch":
            patch = {"schema": made.ref(PATCH)}
            item["requestBody"] = {"content": dict.fromkeys(_PATCHES, patch), "required": True}
    return document


def _own(versions: Iterable[CustomVersion]) -> list[tuple[Operation, str]]:
    """Operations whose objects are the definition's own, with the names of these."""
    found = []
    for version in versions:
        for operation in operations([version.info]):
            if operation.kind == version.info.gvk:
                name = _name(version, "List" if operation.answer == "list" else "")
                found.append((operation, name))
    return found


def _v2(versions: Iterable[CustomVersion]) -> Obj:
    made = Definitions("#/definitions/", wraps_refs=False)
    versions = list(versions)
    paths: dict[str, Obj] = {}
    definitions: dict[str, Obj] = {}
    for version in versions:
        definitions |= _definitions(version, made, is_v2=True)
        for operation in operations([version.info]):
            item = paths.setdefault(operation.path, {})
            item[operation.method] = v2.operation_of(operation)
    for operation, name in _own(versions):
        item = paths[operation.path][operation.method]
        if operation.answer in ("object", "list"):
            item["produces"] = list(_PRODUCED)
            for code, _ in operation.answers:
                item["responses"][code]["schema"] = made.ref(name)
        if operation.body == "object":
            body = {"name": "body", "in": "body", "required": True, "schema": made.ref(name)}
            item["parameters"] = [body, *item["parameters"]]
        if operation.body == "patch":
            item["consumes"] = list(_PATCHES)
    return {"paths": paths, "definitions": definitions}
