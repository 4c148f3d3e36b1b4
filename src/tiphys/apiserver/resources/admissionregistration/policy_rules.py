"""What both kinds of policies have: failure policy, parameters, conditions, variables.

Upstream: pkg/apis/admissionregistration/validation/validation.go.
"""

import re
from typing import TYPE_CHECKING, Final

from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.admissionregistration.match_conditions import condition_errors
from tiphys.apiserver.resources.admissionregistration.match_resources import constraint_errors
from tiphys.apiserver.resources.admissionregistration.param_rules import param_kind_errors
from tiphys.apiserver.resources.rules.texts import unsupported

if TYPE_CHECKING:
    from tiphys.apiserver.policies.compiling import PolicyCompiler

_FAILURE_POLICIES: Final = ("Fail", "Ignore")
_IDENTIFIER: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_RESERVED: Final = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
    "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip


def common_errors(spec: Obj) -> list[FieldError]:
    """What comes first."""
    errors: list[FieldError] = []
    failure_policy = spec["failurePolicy"]
    if failure_policy not in _FAILURE_POLICIES:
        path = "spec.failurePolicy"
        errors.append(unsupported(path, failure_policy, _FAILURE_POLICIES))
    errors += param_kind_errors(spec.get("paramKind"), "spec.paramKind")
    errors += constraint_errors(spec.get("matchConstraints"), "spec.matchConstraints")
    return errors


def match_condition_errors(spec: Obj) -> list[FieldError]:
    conditions = spec.get("matchConditions") or []
    has_params = spec.get("paramKind") is not None
    return condition_errors(conditions, "spec.matchConditions", has_params=has_params)


def variable_errors(spec: Obj, compiler: "PolicyCompiler") -> list[FieldError]:
    """The compiler knows them then."""
    errors: list[FieldError] = []
    for index, variable in enumerate(spec.get("variables") or ()):
        path = f"spec.variables[{index}]"
        name, expression = variable.get("name") or "", variable.get("expression") or ""
        if not name.strip():
            errors.append(required(f"{path}.name", "name is not specified"))
        elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
            errors.append(invalid(f"{path}.name", name, "must be a valid CEL identifier"))
        if not expression.strip():
            errors.append(required(f"{path}.expression", "expression is not specified"))
        elif error := compiler.variable(name, expression).error:
            errors.append(invalid(f"{path}.expression", expression, error))
    return errors
