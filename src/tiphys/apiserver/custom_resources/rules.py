"""What is known of a schema's rules without the language that they are written in.

Upstream: apiextensions-apiserver pkg/registry/customresource/strategy.go (hasBlockingErr),
pkg/apiserver/schema/cel/validation.go (hasXValidations).
"""

from typing import Final

from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj

RULES: Final = "x-kubernetes-validations"
_BLOCKING: Final = frozenset({
    "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
    "FieldValueTypeInvalid",
})  # fmt: skip


def blocking_error(errors: list[FieldError]) -> FieldError | None:
    """What is said instead of asking rules of an object that is wrong anyhow."""
    if all(error.kind not in _BLOCKING for error in errors):
        return None
    text = "some validation rules were not checked because the object was invalid; correct the"
    return invalid("<nil>", None, f"{text} existing errors to complete validation")


def has_rules(schema: Obj) -> bool:
    """Whether there is a rule anywhere in a schema."""
    if schema.get(RULES):
        return True
    inner = [schema.get("items"), schema.get("additionalProperties")]
    inner += list((schema.get("properties") or {}).values())
    return any(isinstance(one, dict) and has_rules(one) for one in inner)
