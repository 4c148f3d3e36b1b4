"""Whether a MutatingAdmissionPolicy is valid.

Imported with the first policy: its expressions are compiled.
Upstream: pkg/apis/admissionregistration/validation/validation.go
(validateMutatingAdmissionPolicy).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.policies.compiling import APPLY, PATCH, PolicyCompiler
from tiphys.apiserver.resources.admissionregistration import policy_rules
from tiphys.apiserver.resources.admissionregistration.match_resources import (
    mutable_operation_errors,
)
from tiphys.apiserver.resources.rules.texts import unsupported

_REINVOCATION: Final = ("IfNeeded", "Never")
# A patch's type, the field that it is in, and what its expression must be.
_PATCHES: Final = {
    "ApplyConfiguration": ("applyConfiguration", APPLY),
    "JSONPatch": ("jsonPatch", PATCH),
}


def policy_errors(policy: Obj) -> list[FieldError]:
    spec = policy["spec"]
    has_params = spec.get("paramKind") is not None
    compiler = PolicyCompiler(has_params=has_params, has_variables=True)
    errors = policy_rules.common_errors(spec)
    errors += mutable_operation_errors(spec.get("matchConstraints"), "spec.matchConstraints")
    errors += policy_rules.match_condition_errors(spec)
    errors += policy_rules.variable_errors(spec, compiler)
    mutations = spec.get("mutations") or []
    if not mutations:
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        errors += _mutation(mutation, compiler, f"spec.mutations[{index}]")
    reinvocation = spec.get("reinvocationPolicy") or ""
    if not reinvocation:
        errors.append(required("spec.reinvocationPolicy"))
    elif reinvocation not in _REINVOCATION:
        errors.append(unsupported("spec.reinvocationPolicy", reinvocation, _REINVOCATION))
    return errors


def _mutation(mutation: Obj, compiler: PolicyCompiler, path: str) -> list[FieldError]:
    kind = mutation.get("patchType") or ""
    if not kind:
        return [required(f"{path}.patchType")]
    if kind not in _PATCHES:
        return [unsupported(f"{path}.patchType", kind, tuple(_PATCHES))]
    errors: list[FieldError] = []
    field, wanted = _PATCHES[kind]
    patch = mutation.get(field)
    if patch is None:
        text = f"must be specified when patchType is {kind}"
        errors.append(required(f"{path}.{field}", text))
    else:
        where, expression = f"{path}.{field}.expression", (patch.get("expression") or "").strip()
        if not expression:
            errors.append(required(where))
        elif error := compiler.mutation(expression, wanted).error:
            errors.append(invalid(where, expression, error))
    for other, _ in _PATCHES.values():
        if other != field and mutation.get(other) is not None:
            text = f"must not be specified when patchType is {kind}"
            errors.append(invalid(f"{path}.{other}", f"{{{other}}}", text))
    return errors
