"""Rules that kinds of storage.k8s.io share. Upstream: pkg/apis/storage/validation/validation.go."""

from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required, too_long
from tiphys.apiserver.resources.rules.texts import each

DRIVER_NAME_MAX: Final = 63  # core validation ValidateCSIDriverName
PARAMETERS_MAX: Final = 512  # maxProvisionerParameterLen
PARAMETERS_BYTES_MAX: Final = 256 * 1024  # maxProvisionerParameterSize


def driver_name(name: str, path: str) -> list[FieldError]:
    """A CSI driver's name in a field."""
    errors = [] if name else [required(path)]
    if len(name) > DRIVER_NAME_MAX:
        errors.append(too_long(path, DRIVER_NAME_MAX))
    return errors + each(path, name, names.dns_subdomain(name.lower()) if name else ())


def provisioner(name: str, path: str) -> list[FieldError]:
    """Shown in small letters, as it was compared."""
    if not name:
        return [required(path)]
    return each(path, name.lower(), names.qualified_name(name.lower()))


def parameters(
    found: dict[str, str] | None, path: str, *, may_be_empty: bool = True
) -> list[FieldError]:
    found = found or {}
    if len(found) > PARAMETERS_MAX:
        return [too_long(path, PARAMETERS_MAX)]
    text = "field can not be empty."
    errors = [invalid(path, key, text) for key in sorted(found) if not key]
    if sum(len(k.encode()) + len(v.encode()) for k, v in found.items()) > PARAMETERS_BYTES_MAX:
        errors.append(too_long(path, PARAMETERS_BYTES_MAX))
    if not found and not may_be_empty:
        errors.append(required(path, "must contain at least one key/value pair"))
    return errors
