"""Whether the expressions of a ValidatingAdmissionPolicy fit the kinds that it is for. Pure.

Imported with the first policy: what knows the language costs memory.
Upstream: apiserver/pkg/admission/plugin/policy/validating/typechecking.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tiphys.api.meta import GroupVersionKind, GroupVersionResource, Obj
from tiphys.cel.builtin_types import OBJECT_META, builtin_type
from tiphys.cel.environment import Environment, Fields
from tiphys.cel.errors import CompileError
from tiphys.cel.expression import compiled
from tiphys.cel.policy_environment import PolicyStructs, policy_environment, variable_type
from tiphys.cel.schema_types import SchemaType, named, schema_type
from tiphys.cel.types import DYN, Type

TYPES_MAX: Final = 10  # maxTypesToCheck
_KINDS: Final = "x-kubernetes-group-version-kind"
Kinds = Sequence[tuple[GroupVersionKind, SchemaType]]


def resources_of(policy: Obj) -> list[GroupVersionResource]:
    """What the policy names outright: neither wildcards nor subresources."""
    found: list[GroupVersionResource] = []
    match = policy["spec"].get("matchConstraints") or {}
    for rule in match.get("resourceRules") or ():
        groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
        plain = [one for one in rule.get("resources") or () if "*" not in one and "/" not in one]
        if any("*" in one for one in (*groups, *versions)):
            continue
        found += [
            GroupVersionResource(group, version, resource)
            for group in sorted(groups)
            for version in sorted(versions)
            for resource in sorted(plain)
        ]
    return list(dict.fromkeys(found))[:TYPES_MAX]


def custom_type(document: Mapping[str, Any], gvk: GroupVersionKind) -> SchemaType | None:
    """Of a kind in an OpenAPI v3 document that a definition defines."""
    wanted = {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}
    for schema in ((document.get("components") or {}).get("schemas") or {}).values():
        if wanted in (schema.get(_KINDS) or ()):
            found = schema_type(schema, is_root=True)
            if found is None:
                return None
            metadata = builtin_type(OBJECT_META)
            return replace(found, fields={**found.fields, "metadata": metadata})
    return None


class _TypedStructs(PolicyStructs):
    """The policy's own types, and those of its object and parameters."""

    def __init__(self, variables: Fields, known: Mapping[str, Fields]) -> None:
        super().__init__(variables, has_patches=False)
        self._typed = known

    def fields(self, name: str) -> Fields | None:
        return self._typed.get(name) or super().fields(name)


def warnings(policy: Obj, kinds: Kinds, params: SchemaType | None) -> list[Obj]:
    """What `status.typeChecking` says of each expression."""
    environments = [
        (gvk, _environment(policy, gvk.kind, own, params))
        for gvk, own in sorted(kinds, key=lambda one: tuple(one[0]))
    ]
    found: list[Obj] = []
    for index, validation in enumerate(policy["spec"].get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            if text and (told := _told(text, environments)):
                where = f"spec.validations[{index}].{field}"
                found.append({"fieldRef": where, "warning": told})
    return found


def _told(text: str, environments: Sequence[tuple[GroupVersionKind, Environment]]) -> str:
    lines = []
    for gvk, environment in environments:
        try:
            compiled(text, environment)
        except CompileError as error:
            lines.append(f"{gvk.group}/{gvk.version}, Kind={gvk.kind}: {error}\n")
    return "\n".join(lines)


def _environment(policy: Obj, kind: str, own: SchemaType, params: SchemaType | None) -> Environment:
    spec = policy["spec"]
    has_params = spec.get("paramKind") is not None
    variables: dict[str, Type] = {}
    own, known = named(own, kind)
    types = {"object": own.type, "oldObject": own.type}
    if has_params and params is not None:
        params, more = named(params, "params")
        types["params"] = params.type
        known |= more
    environment = (
        policy_environment(has_params=has_params, variables=variables)
        .with_variables(types)
        .with_structs(_TypedStructs(variables, known))
    )
    for variable in spec.get("variables") or ():
        try:
            result = compiled(variable["expression"], environment).result
        except CompileError:
            result = DYN
        variables[variable["name"]] = variable_type(result)
    return environment
