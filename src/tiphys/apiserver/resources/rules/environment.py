"""Variables of containers.

Upstream: pkg/apis/core/validation/validation.go (ValidateEnv, ValidateEnvFrom).
"""

from collections.abc import Sequence

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules import downward_api
from tiphys.apiserver.resources.rules.paths import no_backsteps
from tiphys.apiserver.resources.rules.texts import each, named


def environment(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(values):
        where = f"{path}[{index}]"
        errors += named(variable.get("name", ""), f"{where}.name", names.env_var_name)
        if variable.get("valueFrom") is not None:
            errors += _value_from(variable, f"{where}.valueFrom")
    return errors


def _value_from(variable: Obj, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    errors: list[FieldError] = []
    if "fieldRef" in source:
        fields = downward_api.ENV_FIELDS
        errors += downward_api.field_ref(source["fieldRef"], f"{path}.fieldRef", fields)
    if "resourceFieldRef" in source:
        where = f"{path}.resourceFieldRef"
        errors += downward_api.resource_ref(source["resourceFieldRef"], where, of_file=False)
    for field in ("configMapKeyRef", "secretKeyRef"):
        if field in source:
            errors += _key_selector(source[field], f"{path}.{field}")
    if "fileKeyRef" in source:
        errors += _file_key(source["fileKeyRef"], f"{path}.fileKeyRef")
    if not source:
        text = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`"
        )
        errors.append(invalid(path, "", text))
    elif variable.get("value"):
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        text = "may not have more than one field specified at a time"
        errors.append(invalid(path, "", text))
    return errors


def _is_prefix(name: str) -> list[str]:
    """Upstream takes a name that ends with a dash here, as if more of it came."""
    return names.name_is_dns_subdomain(name, is_prefix=True)


def _key_selector(selector: Obj, path: str) -> list[FieldError]:
    name = selector.get("name", "")
    errors = each(f"{path}.name", name, names.dns_subdomain(name))
    return errors + named(selector.get("key", ""), f"{path}.key", names.config_map_key)


def _file_key(selector: Obj, path: str) -> list[FieldError]:
    errors = named(selector.get("key", ""), f"{path}.key", names.env_var_name)
    errors += named(selector.get("volumeName", ""), f"{path}.volumeName", names.dns_label)
    file = selector.get("path", "")
    if not file:
        return [*errors, required(f"{path}.path")]
    return errors + no_backsteps(file, f"{path}.path")


def environment_from(values: Sequence[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, source in enumerate(values):
        where = f"{path}[{index}]"
        if source.get("prefix"):
            errors += each(
                f"{where}.prefix", source["prefix"], names.env_var_name(source["prefix"])
            )
        found = [f for f in ("configMapRef", "secretRef") if f in source]
        for field in found:
            name = source[field].get("name", "")
            errors += named(name, f"{where}.{field}.name", _is_prefix)
        if not found:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(found) > 1:
            text = "may not have more than one field specified at a time"
            errors.append(invalid(path, "", text))
    return errors
