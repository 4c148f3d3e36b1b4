"""Options of writes: dryRun, fieldManager, fieldValidation, with upstream's rules.

Upstream: apimachinery pkg/apis/meta/v1/validation/validation.go.
"""

from typing import Final

from tiphys.api.field_errors import (
    FieldError,
    forbidden,
    invalid_object,
    not_supported,
    required,
)
from tiphys.apiserver.context import RequestContext
from tiphys.apiserver.object_meta import validate_field_manager

_FIELD_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")


def check_write_options(ctx: RequestContext, kind: str) -> None:
    """Raises Invalid (`CreateOptions.meta.k8s.io "" is invalid: ...`)."""
    is_apply = ctx.request.headers.get("content-type", "").startswith("application/apply-patch")
    if not ctx.request.query and not is_apply:
        return
    manager = ctx.param("fieldManager")
    errors: list[FieldError] = []
    if is_apply and kind == "PatchOptions" and not manager:
        errors.append(required("fieldManager", "is required for apply patch"))
    errors += validate_dry_run(ctx.params.get("dryRun", []))
    errors += validate_field_manager(manager, "fieldManager")
    validation = ctx.param("fieldValidation")
    if validation and validation not in _FIELD_VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, _FIELD_VALIDATIONS))
    if kind == "PatchOptions" and "force" in ctx.params and not is_apply:
        errors.append(forbidden("force", "may not be specified for non-apply patch"))
    if errors:
        raise invalid_object("meta.k8s.io", kind, "", errors)


def validate_dry_run(values: list[str]) -> list[FieldError]:
    if any(v != "All" for v in values):
        return [not_supported("dryRun", list(values), ["All"])]
    return []
