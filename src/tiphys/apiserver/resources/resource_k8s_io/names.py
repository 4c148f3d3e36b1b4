"""Names of drivers, pools, attributes. Upstream: pkg/apis/resource/validation/validation.go."""

import re
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required, too_long
from tiphys.apiserver.resources.rules.texts import each
from tiphys.apiserver.resources.storage.rules import DRIVER_NAME_MAX, driver_name

POOL_NAME_MAX: Final = 253
ID_MAX: Final = 32  # DeviceMaxIDLength
QUALIFIED_NAME_MAX: Final = DRIVER_NAME_MAX + 1 + ID_MAX
_C_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_C_IDENTIFIER_TEXT: Final = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of "
    "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for "
    "validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def label(value: str, path: str) -> list[FieldError]:
    return each(path, value, names.dns_label(value))


def pool_name(value: str, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    errors = [too_long(path, POOL_NAME_MAX)] if len(value.encode()) > POOL_NAME_MAX else []
    for part in value.split("/"):
        errors += each(path, part, names.dns_subdomain(part))
    return errors


def class_name(value: str, path: str) -> list[FieldError]:
    return each(path, value, names.dns_subdomain(value)) if value else [required(path)]


def qualified_name(value: str, path: str) -> list[FieldError]:
    """A C identifier, with or without a driver's name before it."""
    parts = value.split("/")
    if len(parts) == 1:
        return _identifier(value, path)
    if len(parts) > 2:
        return []  # Upstream looks at no name with two slashes.
    domain, name = parts
    if domain:
        errors = driver_name(domain, path)
    else:
        errors = [invalid(path, "", "the domain must not be empty")]
    if name:
        return errors + _identifier(name, path)
    return [*errors, invalid(path, "", "the name must not be empty")]


def fully_qualified_name(value: str, path: str) -> list[FieldError]:
    errors = qualified_name(value, path)
    if "/" not in value:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, value, text))
    return errors


def _identifier(value: str, path: str) -> list[FieldError]:
    errors = [too_long(path, ID_MAX)] if len(value.encode()) > ID_MAX else []
    if not _C_IDENTIFIER.match(value):
        errors.append(invalid(path, value, _C_IDENTIFIER_TEXT))
    return errors


def uid(value: str, path: str) -> list[FieldError]:
    if _UUID.match(value):
        return []
    if _UUID.match(value.lower()):
        text = (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with "
            "lowercase hexadecimal characters"
        )
        return [invalid(path, value, text)]
    why = "invalid UUID format" if len(value) in {32, 36, 38, 45} else ""
    why = why or f"invalid UUID length: {len(value)}"
    return [invalid(path, value, f"error validating uid: {why}")]
